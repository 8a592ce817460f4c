"""What single events do: the adapter in process, on virtual time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from apps.voice.openai_realtime.audio import Decoder, Encoder
from ml.serve.wire import Listen
from tests.support.realtime_world import MANUAL, World, b64, noise

Make = Callable[..., World]


@pytest.fixture
def make() -> Iterator[Make]:
    worlds: list[World] = []

    def new(**options: Any) -> World:
        worlds.append(World(**options))
        return worlds[-1]

    yield new
    for world in worlds:
        world.close()


@pytest.fixture
def manual(make: Make) -> World:
    world = make(first=MANUAL)
    world.events.clear()
    return world


def detection(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.events[-1]["session"]["audio"]["input"]["turn_detection"]
    return found


def test_configuration_is_merged_deeply_and_told_as_it_is_applied(make: Make) -> None:
    world = make()
    vad = {"type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 5_000, "silence_duration_ms": 30}
    world.say("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": vad}}})
    world.wait(0.1)
    told = detection(world)
    assert (told["threshold"], told["prefix_padding_ms"], told["silence_duration_ms"]) == (0.7, 1_200, 100)
    assert world.core.listening[-1] == Listen(0.7, 1_200)
    assert (world.core.config["endpoint_min_ms"], world.core.config["endpoint_max_ms"]) == (100, 100)
    more = {"output": {"voice": "ravi:happy", "speed": 1.2}, "input": {"turn_detection": {"type": "server_vad"}}}
    world.say("session.update", session={"type": "realtime", "audio": more})
    world.wait(0.1)
    assert detection(world)["threshold"] == 0.7
    wanted = {"speaker": "ravi", "emotion": "happy", "rate": 1.2, "turn_taking": "stream"}
    assert {name: world.core.config[name] for name in wanted} == wanted
    semantic = {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}
    world.say("session.update", session={"type": "realtime", "audio": semantic})
    world.wait(0.1)
    assert world.core.listening[-1] == Listen()
    assert (world.core.config["endpoint_min_ms"], world.core.config["endpoint_max_ms"]) == (480, 1_200)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"audio": {"output": {"voice": "alloy"}}}, "session.audio.output.voice"),
        ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
        ({"output_modalities": ["text"]}, "session.output_modalities"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8_000}}}}, "session.audio.input.format.rate"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "session.audio.input.format.type"),
        ({"tool_choice": "required"}, "session.tool_choice"),
        ({"truncation": {"retention_ratio": float("inf")}}, None),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(make: Make, session: dict[str, Any], param: str | None) -> None:
    world = make()
    before = world.events[-1]["session"]
    world.say("session.update", event_id="mine", session={"type": "realtime", **session})
    world.wait(0.01)
    (error,) = world.model.errors
    assert error["event_id"] == ("mine" if param else None)
    assert error["param"] == param
    world.say("session.update", session={"type": "realtime"})
    world.wait(0.01)
    assert world.events[-1]["session"] == before


def test_a_cancel_with_nothing_active_is_answered_and_nothing_else_happens(manual: World) -> None:
    manual.say("response.cancel", event_id="c1")
    manual.wait(5)
    assert manual.kinds() == ["error"]
    assert manual.model.errors[0]["code"] == "response_cancel_not_active"
    assert manual.model.errors[0]["event_id"] == "c1"


def test_the_model_hears_what_was_committed_and_nothing_else(manual: World) -> None:
    parts = [noise(ms) for ms in (500, 300, 400, 700)]
    manual.append(parts[0])
    manual.say("input_audio_buffer.commit")
    manual.append(parts[1])
    manual.wait(0.05)  # some of it was heard already
    manual.say("input_audio_buffer.clear")
    manual.append(parts[2])
    manual.say("input_audio_buffer.commit")
    manual.append(parts[3])  # for the next turn
    manual.wait(0.7)
    manual.say("response.create")
    manual.settle()
    manual.say("input_audio_buffer.commit")
    manual.say("response.create")
    manual.settle()
    heard = [len(question) / 32 for question in manual.core.questions]
    tail_ms = 200
    assert heard == pytest.approx([900 + tail_ms, 700 + tail_ms], abs=45)
    assert [response["status"] for response in manual.model.done] == ["completed", "completed"]


def test_captions_belong_to_their_item_also_after_a_cancel(make: Make) -> None:
    world = make(first={**MANUAL, "audio": {"input": {"turn_detection": None, "transcription": {"model": "x"}}}})
    for cancelled in (True, False, False):
        world.ask()
        world.wait(0.3)
        if cancelled:
            world.say("response.cancel")
        else:
            world.settle()
    captions = world.of("conversation.item.input_audio_transcription.completed")
    committed = [event["item_id"] for event in world.of("input_audio_buffer.committed")]
    assert [caption["item_id"] for caption in captions] == committed
    assert [response["status"] for response in world.model.done] == ["cancelled", "completed", "completed"]


def test_truncate_is_clamped_and_reaches_the_core(manual: World) -> None:
    manual.ask()
    manual.settle()
    item = manual.model.done[0]["output"][0]["id"]
    for audio_end_ms, expected in ((3_600_000, 600), (250, 250)):
        manual.say("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=audio_end_ms)
        manual.wait(0.01)
        assert manual.events[-1]["audio_end_ms"] == expected
    assert manual.core.truncated == [(0, 600), (0, 250)]
    assert not manual.model.errors


def test_items_are_placed_told_and_deleted(manual: World) -> None:
    def create(item_id: str, previous: str | None = None) -> None:
        content = [{"type": "input_text", "text": item_id}]
        place = {} if previous is None else {"previous_item_id": previous}
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        manual.say("conversation.item.create", item=item, **place)
        manual.wait(0.01)

    create("b")
    create("a", "root")
    create("c", "a")
    added = manual.of("conversation.item.added")
    assert [(event["item"]["id"], event["previous_item_id"]) for event in added] == [
        ("b", None),
        ("a", None),
        ("c", "a"),
    ]
    create("b")
    create("d", "nobody")
    assert [error["code"] for error in manual.model.errors] == ["item_already_exists", "item_not_found"]
    manual.say("conversation.item.delete", item_id="c")
    manual.say("conversation.item.retrieve", item_id="c", event_id="rci_c")
    manual.say("conversation.item.retrieve", item_id="a")
    manual.wait(0.01)
    assert manual.of("conversation.item.deleted")[0]["item_id"] == "c"
    assert manual.model.errors[-1]["event_id"] == "rci_c", "pipecat finds its question by that"
    assert manual.events[-1]["item"]["content"] == [{"type": "input_text", "text": "a"}]


def test_without_transcripts_there_are_none(make: Make) -> None:
    wish = {"input": {"turn_detection": None, "transcription": {"model": "x"}}}
    world = make(transcripts=False, first={"type": "realtime", "audio": wish})
    assert world.events[0]["session"]["audio"]["input"]["transcription"] is None
    world.ask()
    world.settle()
    assert world.model.done[0]["status"] == "completed"
    assert not [kind for kind in world.kinds() if "transcript" in kind]
    assert world.model.done[0]["output"][0]["content"] == [{"type": "output_audio"}]


@pytest.mark.parametrize("law", ["audio/pcmu", "audio/pcma"])
def test_g711_both_ways(make: Make, law: Any) -> None:
    side = {"format": {"type": law}}
    world = make(first={"type": "realtime", "audio": {"input": {**side, "turn_detection": None}, "output": side}})
    question = noise(400, rate=16_000)
    world.say("input_audio_buffer.append", audio=b64(Encoder(law).feed(question, last=True)))
    world.say("input_audio_buffer.commit")
    world.say("response.create")
    world.settle()
    raw = b"".join(base64.b64decode(event["delta"]) for event in world.of("response.output_audio.delta"))
    assert len(raw) == pytest.approx(600 * 8, abs=80), "8,000 bytes a second"
    answer = np.frombuffer(Decoder(law).feed(raw), "<i2").astype(float)
    assert np.abs(answer).max() == pytest.approx(8_000, rel=0.1)
    heard = np.frombuffer(world.core.questions[0], "<i2").astype(float)
    assert heard[1_600:4_800].std() == pytest.approx(6_300, rel=0.25), "what lies below 4 kHz of it"


def test_resampling_keeps_its_state_between_pieces() -> None:
    whole = noise(1_000)
    decoder, again = Decoder("audio/pcm"), Decoder("audio/pcm")
    pieces = b"".join(decoder.feed(whole[at : at + 333]) for at in range(0, len(whole), 333))
    once = again.feed(whole)
    size = min(len(pieces), len(once))
    assert size > 0.95 * 32_000
    apart = np.frombuffer(pieces[:size], "<i2").astype(int) - np.frombuffer(once[:size], "<i2")
    assert np.abs(apart).max() <= 2, "the resampler dithers"


def test_a_model_that_falls_silent_fails_its_response_and_the_next_one_is_heard(make: Make) -> None:
    world = make(first=MANUAL, answer_ms=None)
    world.ask()
    world.settle()
    (response,) = world.model.done
    assert (response["status"], response["status_details"]["error"]["code"]) == ("failed", "timeout")
    world.core.answer_ms = 200
    world.ask()
    world.settle()
    assert world.model.done[1]["status"] == "completed"


def test_appended_audio_is_bounded(manual: World) -> None:
    for size, code in ((15 * 1024 * 1024 + 4, "invalid_value"), (15 * 1024 * 1024, "input_audio_buffer_full")):
        manual.say("input_audio_buffer.append", audio="A" * size)
        manual.wait(0.01)
        assert manual.model.errors[-1]["code"] == code
    for _ in range(40):
        manual.append(noise(1_000))
    assert manual.model.errors[-1]["code"] == "input_audio_buffer_full", "a turn lasts at most 28 s"
    manual.say("input_audio_buffer.clear")
    manual.ask()
    manual.settle()
    assert manual.model.done[0]["status"] == "completed"


@pytest.mark.parametrize(("ours", "theirs"), [(4008, 1008), (4014, 1008), (4011, 1011), (4012, 1012), (4013, 1013)])
def test_a_close_ends_the_response_and_has_a_code_that_clients_know(manual: World, ours: int, theirs: int) -> None:
    manual.ask()
    manual.wait(0.4)
    manual.run(manual.side.close(ours))
    assert manual.model.done[0]["status_details"]["error"]["code"] == "session_closed"
    assert manual.close_code == theirs
