"""The OpenAI-compatible socket, by the unmodified `openai` package in an environment of its own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.live_client import telugu_speech
from tests.support.stack import ROOT, Stack

pytestmark = pytest.mark.integration
CLIENT = ROOT / "tests" / "clients" / "openai_client.py"
PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    def make() -> str:
        from django.contrib.auth import get_user_model
        from django.utils import timezone

        from apps.accounts.services import token_create

        user = get_user_model().objects.create_user("realtime", password=None)
        return token_create(user=user, name="client", scopes=["chat"], expires_at=timezone.now() + timedelta(days=1))[1]

    return stack.query(make)


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spoken sentence, PCM16LE at 24 kHz."""
    folder = tmp_path_factory.mktemp("realtime")
    pcm = np.frombuffer(telugu_speech(folder), "<i2").astype(np.float64)
    at = np.arange(0, len(pcm) - 1, 16_000 / 24_000)
    path = folder / "question.pcm"
    path.write_bytes(np.interp(at, np.arange(len(pcm)), pcm).astype("<i2").tobytes())
    return path


def seen_by_openai(stack: Stack, key: str, question: Path, scenario: str) -> dict[str, Any]:
    told = subprocess.run(
        [str(PYTHON), str(CLIENT), f"{stack.origin}/v1", key, str(question), scenario],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr.decode()[-2_000:]
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_a_manual_turn_is_answered_in_the_order_of_the_specification(stack: Stack, key: str, question: Path) -> None:
    seen = seen_by_openai(stack, key, question, "manual")
    kinds = [event["type"] for event in seen["events"]]
    wanted = [
        "session.created", "session.updated", "input_audio_buffer.committed", "response.created",
        "response.output_item.added", "response.content_part.added", "response.output_audio.delta",
        "response.output_audio.done", "response.content_part.done", "response.output_item.done", "response.done",
    ]  # fmt: skip
    assert [kind for kind in dict.fromkeys(kinds) if kind in wanted] == wanted
    assert "error" not in kinds
    done = seen["events"][-1]["response"]
    assert done["status"] == "completed"
    assert done["metadata"] == {"turn": "one"}
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"] > 0
    (audio,) = seen["audio"].values()
    assert len(base64.b64decode(audio)) > 2 * 24_000 // 10, "a tenth of a second at least"


async def test_who_has_no_token_is_let_in_nowhere(stack: Stack) -> None:
    address = f"ws://127.0.0.1:{stack.port}/v1/realtime?model=telugu-voice"
    for headers in ({}, {"Authorization": "Bearer nothing"}):
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(address, additional_headers=headers) as socket:
                await socket.recv()


async def test_nonsense_is_answered_by_an_error_and_the_session_goes_on(stack: Stack, key: str) -> None:
    address = f"ws://127.0.0.1:{stack.port}/v1/realtime?model=telugu-voice"
    async with connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        for text in ("{", "[]", '{"type":"no.such"}', '{"type":"input_audio_buffer.append","audio":"*"}',
                     '{"type":"input_audio_buffer.commit"}', '{"type":"response.cancel"}'):  # fmt: skip
            await socket.send(text)
            told = json.loads(await socket.recv())
            assert told["type"] == "error"
            assert told["error"]["message"]
        assert told["error"]["code"] == "response_cancel_not_active"
        await socket.send('{"type":"session.update","session":{"type":"realtime"}}')
        assert json.loads(await socket.recv())["type"] == "session.updated"
