"""Turns that are not answered at once, and silence that is: the adapter in process, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.realtime_world import World, noise

USER_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


def session(kind: str = "server_vad", **detection: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": {"turn_detection": {"type": kind, **detection}}}}


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.close()


def talking(worlds: list[World], kind: str = "server_vad", *, answer_ms: int = 600, **detection: Any) -> World:
    world = World(first=session(kind, **detection), answer_ms=answer_ms)
    worlds.append(world)
    world.append(noise(200, amplitude=20))
    world.wait(0.3)
    world.events.clear()
    return world


def ask(world: World, ms: int = 600) -> None:
    """A turn that its silence ends."""
    world.append(noise(ms))
    world.append(noise(1_400, amplitude=20))
    world.wait((ms + 1_400) / 2_000 + 0.2)


def quiet(world: World, seconds: float) -> None:
    """The microphone goes on: nobody speaks."""
    while seconds > 0:
        world.append(noise(100, amplitude=20))
        world.wait(0.1)
        seconds -= 0.1


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_a_turn_that_ends_is_answered_when_the_client_asks_for_it(worlds: list[World], kind: str) -> None:
    world = talking(worlds, kind, create_response=False)
    ask(world)
    quiet(world, 3.0)
    assert world.kinds() == USER_TURN, "and nothing else comes by itself"
    assert len({event["item_id"] for event in world.events[:3]}) == 1
    world.say("response.create", response={"metadata": {"why": "now"}})
    world.settle()
    (response,) = world.model.done
    assert (response["status"], response["metadata"]) == ("completed", {"why": "now"})
    assert response["usage"]["input_tokens"] == pytest.approx(600 / 40, abs=2), "the question is what was answered"
    assert len(world.core.questions) == 1


def test_with_several_turns_the_newest_is_answered(worlds: list[World]) -> None:
    world = talking(worlds, create_response=False)
    ask(world)
    ask(world, 900)
    world.append(noise(140))  # a cough, which takes the place of none
    quiet(world, 1.0)
    world.say("response.create")
    world.settle()
    ask(world)
    world.say("response.create")
    world.settle()
    assert [response["status"] for response in world.model.done] == ["completed", "completed"]
    tokens = [response["usage"]["input_tokens"] for response in world.model.done]
    assert tokens == [pytest.approx(900 / 40, abs=2), pytest.approx(600 / 40, abs=2)]
    assert len(world.core.questions) == 3


def test_a_commit_of_the_client_waits_too(worlds: list[World]) -> None:
    world = talking(worlds, create_response=False)
    world.append(noise(600))
    world.say("input_audio_buffer.commit")
    quiet(world, 2.0)
    assert world.kinds() == USER_TURN
    world.say("response.create")
    world.settle()
    assert world.model.done[0]["status"] == "completed"


def test_a_response_wanted_while_somebody_speaks_ends_that_turn(worlds: list[World]) -> None:
    world = talking(worlds, create_response=False)
    ask(world)
    world.append(noise(900))
    world.wait(0.6)
    world.say("response.create")
    world.settle()
    assert world.model.done[0]["usage"]["input_tokens"] == pytest.approx(900 / 40, abs=6)
    assert len(world.of("input_audio_buffer.committed")) == 2


def test_what_waits_is_answered_in_manual_turns_too(worlds: list[World]) -> None:
    wish = session(create_response=False)
    wish["audio"]["input"]["transcription"] = {"model": "x"}
    world = World(first=wish)
    worlds.append(world)
    ask(world)
    world.manual()
    world.say("response.create")
    world.settle()
    assert len(world.core.questions) == 1, "nothing new was asked"
    world.ask()
    world.settle()
    assert [response["status"] for response in world.model.done] == ["completed", "completed"]
    captions = world.of("conversation.item.input_audio_transcription.completed")
    committed = [event["item_id"] for event in world.of("input_audio_buffer.committed")]
    assert [caption["item_id"] for caption in captions] == committed


def test_a_cancelled_answer_to_what_waited_stays_cancelled(worlds: list[World]) -> None:
    world = talking(worlds, create_response=False)
    ask(world)
    world.say("response.create")
    world.say("response.cancel")
    quiet(world, 1.0)
    world.say("response.create")
    world.wait(0.2)
    world.say("response.cancel")
    quiet(world, 1.0)
    assert [response["status"] for response in world.model.done] == ["cancelled", "cancelled"]
    assert not world.model.active


def test_speech_over_an_answer_is_the_next_turn(worlds: list[World]) -> None:
    world = talking(worlds, answer_ms=4_000, interrupt_response=False)
    ask(world)
    first = world.model.active
    assert first is not None
    world.append(noise(200))  # a backchannel is no turn
    quiet(world, 0.5)
    ask(world, 900)
    assert world.model.active == first, "it goes on"
    assert [kind for kind in world.kinds() if kind.startswith("input_audio_buffer")] == USER_TURN[:3] * 2
    quiet(world, 7.0)
    assert [response["status"] for response in world.model.done] == ["completed", "completed"]
    tokens = [response["usage"]["input_tokens"] for response in world.model.done]
    assert tokens == [pytest.approx(600 / 40, abs=2), pytest.approx(900 / 40, abs=2)]
    added = [event["item"]["id"] for event in world.of("conversation.item.added")]
    assert world.model.done[1]["output"][0]["id"] == added[-1]
    assert len(world.of("response.created")) == 2


def test_the_client_may_ask_itself_for_the_answer_that_is_due(worlds: list[World]) -> None:
    world = talking(worlds, answer_ms=2_000, interrupt_response=False)
    ask(world)
    ask(world, 900)
    while world.model.active:
        world.append(noise(20, amplitude=20))
        world.wait(0.02)
    world.say("response.create", response={"metadata": {"by": "client"}})
    quiet(world, 4.0)
    assert [response["status"] for response in world.model.done] == ["completed", "completed"]
    assert len(world.core.questions) == 2, "nothing new was asked"


def test_cancelling_an_answer_lets_the_next_one_begin(worlds: list[World]) -> None:
    world = talking(worlds, answer_ms=6_000, interrupt_response=False)
    ask(world)
    ask(world)
    world.say("response.cancel")
    quiet(world, 7.5)
    assert [response["status"] for response in world.model.done] == ["cancelled", "completed"]


def test_with_both_off_speech_is_told_and_nothing_answered_by_itself(worlds: list[World]) -> None:
    world = talking(worlds, answer_ms=3_000, create_response=False, interrupt_response=False)
    ask(world)
    world.say("response.create")
    world.wait(0.5)
    ask(world, 900)
    quiet(world, 5.0)
    assert [response["status"] for response in world.model.done] == ["completed"]
    assert len(world.of("input_audio_buffer.committed")) == 2
    world.say("response.create")
    world.settle()
    assert world.model.done[1]["usage"]["input_tokens"] == pytest.approx(900 / 40, abs=2)


def test_silence_after_an_answer_is_answered(worlds: list[World]) -> None:
    world = talking(worlds, idle_timeout_ms=6_000)
    quiet(world, 8.0)
    assert not world.events, "nobody has been answered yet"
    ask(world)
    quiet(world, 0.5)
    assert len(world.model.done) == 1
    world.events.clear()
    quiet(world, 5.0)
    assert not world.events
    quiet(world, 2.0)
    order = ["input_audio_buffer.timeout_triggered", *USER_TURN[2:], "response.created"]
    assert world.kinds()[:5] == order
    triggered, committed = world.events[:2]
    assert triggered["item_id"] == committed["item_id"]
    assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == pytest.approx(6_000, abs=300)
    quiet(world, 15.0)
    statuses = [response["status"] for response in world.model.done]
    assert statuses == ["completed"] * 4, "and again after each of its answers"
    assert len(world.core.questions) == 4


def test_whoever_speaks_starts_the_time_anew_and_null_stops_it(worlds: list[World]) -> None:
    world = talking(worlds, idle_timeout_ms=6_000)
    ask(world)
    quiet(world, 4.0)
    world.append(noise(140))  # a cough
    quiet(world, 4.0)
    assert not world.of("input_audio_buffer.timeout_triggered")
    quiet(world, 3.0)
    assert len(world.of("input_audio_buffer.timeout_triggered")) == 1
    world.say("session.update", session=session(idle_timeout_ms=None))
    quiet(world, 12.0)
    assert len(world.of("input_audio_buffer.timeout_triggered")) == 1
    assert world.of("session.updated")[0]["session"]["audio"]["input"]["turn_detection"]["idle_timeout_ms"] is None


def test_who_waits_for_an_answer_is_not_idle(worlds: list[World]) -> None:
    world = talking(worlds, create_response=False, idle_timeout_ms=5_000)
    ask(world)
    world.say("response.create")
    world.settle()
    ask(world)
    quiet(world, 8.0)
    assert not world.of("input_audio_buffer.timeout_triggered")
    world.say("response.create")
    quiet(world, 7.0)
    assert len(world.of("input_audio_buffer.timeout_triggered")) == 1


def test_parameters_are_told_as_they_are_applied(worlds: list[World]) -> None:
    world = talking(worlds)
    for given, told in ((100, 5_000), (60_000, 30_000), (None, None)):
        world.say("session.update", session=session(idle_timeout_ms=given, create_response=False))
        world.wait(0.01)
        detection = world.events[-1]["session"]["audio"]["input"]["turn_detection"]
        assert (detection["idle_timeout_ms"], detection["create_response"]) == (told, False)
        assert not world.core.listening[-1].answers
    assert not world.model.errors


def test_noise_reduction_is_told_back_and_changes_nothing(worlds: list[World]) -> None:
    world = talking(worlds)
    before = (world.core.config, list(world.core.listening))
    for wish in ({"type": "near_field"}, {"type": "far_field"}, None):
        update = {"type": "realtime", "audio": {"input": {"noise_reduction": wish}}}
        world.say("session.update", session=update)
        world.wait(0.01)
        assert world.events[-1]["session"]["audio"]["input"]["noise_reduction"] == wish
    assert (world.core.config, world.core.listening) == before
    ask(world)
    world.settle()
    assert world.model.done[0]["status"] == "completed"
    assert not world.model.errors
