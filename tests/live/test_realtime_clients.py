"""Unmodified clients from the registries talk to the shipped models; what they hear is judged by the recogniser.

`openai`, `pipecat-ai` and `@openai/agents-realtime`, pinned by requirements/clients.txt and package-lock.json.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.voice.openai_realtime.audio import Decoder, Encoder
from tests.support.questions import INTENTS, Judge, asked
from tests.support.realtime_model import ProtocolModel
from tests.support.servers import require
from tests.support.spoken_server import SpokenServer
from tests.support.stack import ROOT, Stack

pytestmark = pytest.mark.integration
CLIENTS = ROOT / "tests" / "clients"
PYTHON = str(Path(sys.prefix) / "clients" / "bin" / "python")
LIMIT_S = 120
FIRST, _, LAST = INTENTS
"""What is judged; the question between them is there to be answered and spoken over."""


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpokenServer]:
    running = SpokenServer(stack, tmp_path_factory.mktemp("spoken"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    def make() -> str:
        from django.contrib.auth import get_user_model
        from django.utils import timezone

        from apps.accounts.services import token_create

        user = get_user_model().objects.create_user("clients", password=None)
        return token_create(user=user, name="client", scopes=["chat"], expires_at=timezone.now() + timedelta(days=1))[1]

    return stack.query(make)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    require("Festival")
    folder = tmp_path_factory.mktemp("questions")
    paths = [folder / f"{intent}.pcm" for intent in INTENTS]
    for path, intent in zip(paths, INTENTS, strict=True):
        path.write_bytes(asked(intent))
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a client says in the end."""
    with process:
        try:
            out, errors = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert process.returncode == 0, errors[-3_000:]
    found: dict[str, Any] = json.loads(out)
    return found


def client(*command: str) -> subprocess.Popen[str]:
    if not Path(command[0]).exists():
        absent = f"{command[0]} is not there (make setup-test)"
        pytest.fail(absent) if os.environ.get("CI") else pytest.skip(absent)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def openai_client(server: SpokenServer, key: str, scenario: str, *questions: str) -> subprocess.Popen[str]:
    return client(PYTHON, str(CLIENTS / "openai_client.py"), server.url, key, scenario, *questions)


class Seen:
    """Events in the order that the model of the protocol allows; audio by the order of its items."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.events: list[dict[str, Any]] = found["events"]
        self.audio = [base64.b64decode(raw) for raw in found["audio"].values()]
        model = ProtocolModel()
        for event in self.events:
            if event["type"] == "session.created":
                model = ProtocolModel()  # of a connection each
            model.feed({"delta": "", **event} if event["type"] == "response.output_audio.delta" else event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def done(self) -> list[dict[str, Any]]:
        return [event["response"] for event in self.of("response.done")]

    @property
    def statuses(self) -> list[str]:
        return [response["status"] for response in self.done]


def test_openai_manual_turns(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    seen = Seen(told(openai_client(server, key, "manual", questions[0], questions[2])))
    assert seen.statuses == ["completed", "completed"]
    assert [judge.intent_of(audio) for audio in seen.audio] == [FIRST, LAST], "what was cleared was not heard"
    assert seen.done[0]["metadata"] == {"turn": "one"}
    assert not seen.of("error")
    caption = seen.of("conversation.item.input_audio_transcription.completed")[0]
    assert caption["item_id"] == seen.of("input_audio_buffer.committed")[0]["item_id"]
    assert seen.of("response.output_audio_transcript.done")[0]["transcript"]
    usage = seen.done[0]["usage"]
    assert usage["output_tokens"] == pytest.approx(len(seen.audio[0]) / 48 / 40, abs=2), "frames of 40 ms"


def test_openai_server_vad_and_truncate(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    seen = Seen(told(openai_client(server, key, "vad", *questions)))
    assert seen.statuses[0] == seen.statuses[-1] == "completed"
    cut = seen.done[-2]
    assert cut["status_details"]["reason"] == "turn_detected"
    assert judge.intent_of(seen.audio[0]) == FIRST
    assert judge.intent_of(seen.audio[-1]) == LAST
    (truncated,) = seen.of("conversation.item.truncated")
    assert truncated["item_id"] == cut["output"][0]["id"]
    assert truncated["audio_end_ms"] == pytest.approx(len(seen.audio[-2]) / 48, abs=60), "clamped to what there is"
    input_ = seen.of("session.updated")[0]["session"]["audio"]["input"]["turn_detection"]
    assert (input_["threshold"], input_["prefix_padding_ms"], input_["silence_duration_ms"]) == (0.6, 200, 700)
    assert seen.of("session.updated")[0]["session"]["audio"]["output"]["voice"] == "ravi:happy"
    assert seen.of("conversation.item.retrieved")[0]["item"]["id"] == seen.done[0]["output"][0]["id"]


def test_openai_is_not_answered_unasked(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    seen = Seen(told(openai_client(server, key, "unasked", questions[0])))
    kinds = [event["type"] for event in seen.events]
    heard = kinds.index("conversation.item.input_audio_transcription.completed")
    assert kinds.index("input_audio_buffer.committed") < heard < kinds.index("response.created")
    (response,) = seen.done
    assert (response["status"], response["metadata"]) == ("completed", {"by": "client"})
    assert judge.intent_of(seen.audio[0]) == FIRST


def test_openai_speaks_over_an_answer_that_goes_on(
    server: SpokenServer, key: str, questions: list[str], judge: Judge
) -> None:
    seen = Seen(told(openai_client(server, key, "goes_on", questions[0], questions[2])))
    assert seen.statuses == ["completed", "completed"]
    kinds = [event["type"] for event in seen.events]
    assert kinds.index("response.done") > len(kinds) - 1 - kinds[::-1].index("input_audio_buffer.speech_started")
    assert [judge.intent_of(audio) for audio in seen.audio] == [FIRST, LAST]


def test_openai_is_spoken_to_after_a_silence(
    server: SpokenServer, key: str, questions: list[str], judge: Judge
) -> None:
    seen = Seen(told(openai_client(server, key, "idle", questions[0])))
    assert seen.statuses == ["completed", "completed"]
    (triggered,) = seen.of("input_audio_buffer.timeout_triggered")
    assert triggered["audio_start_ms"] < triggered["audio_end_ms"]
    assert seen.of("input_audio_buffer.committed")[1]["item_id"] == triggered["item_id"]
    assert judge.intent_of(seen.audio[0]) == FIRST
    assert judge.intent_of(seen.audio[1]) == "fallback", "there is nothing to answer"


def test_openai_cancel(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    seen = Seen(told(openai_client(server, key, "cancel", questions[0], questions[2])))
    codes = [event["error"]["code"] for event in seen.of("error")]
    assert codes == ["response_cancel_not_active", "conversation_already_has_active_response"]
    assert seen.statuses == ["cancelled", "completed"]
    assert seen.done[0]["status_details"]["reason"] == "client_cancelled"
    assert seen.of("conversation.item.truncated")[0]["audio_end_ms"] == 120
    assert judge.intent_of(seen.audio[-1]) == LAST


def test_openai_items_with_a_browsers_key_in_mu_law(
    server: SpokenServer, key: str, questions: list[str], judge: Judge, tmp_path: Path
) -> None:
    question = tmp_path / "question.ulaw"
    to_law = Encoder("audio/pcmu")
    question.write_bytes(to_law.feed(asked(FIRST, rate=16_000), last=True))
    seen = Seen(told(openai_client(server, key, "items", str(question))))
    assert seen.of("session.created")[0]["session"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    added = [event["item"]["id"] for event in seen.of("conversation.item.added")]
    assert added[:2] == ["text_1", "question_1"]
    assert seen.done[0]["metadata"] == {"by": "item"}
    assert judge.intent_of(Decoder("audio/pcmu").feed(seen.audio[0]), rate=16_000) == FIRST
    assert seen.of("conversation.item.deleted")[0]["item_id"] == "text_1"
    assert seen.of("error")[0]["error"]["code"] == "item_retrieve_invalid_item_id"
    assert seen.of("conversation.item.retrieved")[0]["item"]["id"] == "question_1"


def test_openai_reconnects(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    running = openai_client(server, key, "reconnect", *questions)
    assert running.stderr is not None
    assert running.stderr.readline() == "connected\n"
    server.kill_web()
    server.start_web()
    seen = Seen(told(running))
    assert len(seen.of("session.created")) == 2
    assert judge.intent_of(seen.audio[0]) == FIRST


def test_pipecats_pipeline_with_barge_in(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    seen = told(client(PYTHON, "-W", "ignore", str(CLIENTS / "pipecat_client.py"), server.url, key, *questions))
    answers = [base64.b64decode(raw) for raw in seen["answers"]]
    assert seen["errors"] == []
    assert seen["interruptions"] >= 2
    assert judge.intent_of(answers[0]) == FIRST
    assert judge.intent_of(answers[seen["over"] + 1]) == LAST
    assert len(answers[seen["over"]]) < len(answers[seen["over"] + 1]), "it stopped"


def test_openai_agents_in_node(server: SpokenServer, key: str, questions: list[str], judge: Judge) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (apt-get install nodejs npm)")
    seen = told(client(node, str(CLIENTS / "agents_client.mjs"), server.url, key, *questions))
    answers = [base64.b64decode(raw) for raw in seen["answers"]]
    assert seen["errors"] == []
    assert seen["statuses"][0] == seen["statuses"][-1] == "completed"
    assert seen["statuses"][-2] == "cancelled"
    assert seen["interrupted"] >= 1
    assert len(seen["truncated"]) >= 1
    assert judge.intent_of(answers[0]) == FIRST
    assert judge.intent_of(answers[seen["over"] + 1]) == LAST
    assert np.frombuffer(answers[0], "<i2").std() > 300
