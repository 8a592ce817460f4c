"""Turns that are not answered at once, in virtual time: nobody asked for it, or an answer was given and goes on."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ml.turn_taking import (
    BackchannelHeard,
    Commit,
    Dismiss,
    Endpoint,
    Interrupt,
    Observation,
    OpenTurn,
    Reply,
    Resume,
    Speculate,
    SpeechStarted,
    SpeechStopped,
    TurnDirector,
    TurnTakingConfig,
)
from tests.ml.turn_taking.test_director import Stage

UNASKED = TurnTakingConfig().hearing(None, None, answers=False)
GOES_ON = TurnTakingConfig().hearing(None, None, interruptible=False)


def answered(stage: Stage) -> list[str]:
    return [endpoint.answered for endpoint in stage.of(Endpoint) if isinstance(endpoint, Endpoint)]


def ask(stage: Stage) -> None:
    stage.say(600)
    stage.play(silent=600)


def end(stage: Stage) -> None:
    stage.note(stage.director.answer_ended(stage.now))


def test_who_is_not_answered_unasked_waits_for_a_reply() -> None:
    stage = Stage(UNASKED)
    ask(stage)
    assert answered(stage) == ["asked"]
    stage.play(silent=5_000)
    assert not stage.of(Reply)
    assert stage.director.phase == "idle"
    stage.note(stage.director.reply(stage.now))
    assert stage.of(Reply) == [Reply(stage.now)]
    stage.note(stage.director.reply(stage.now))  # what follows is another question: of nothing
    assert [type(action) for _, action in stage.actions[-5:]] == [
        Interrupt, SpeechStarted, OpenTurn, SpeechStopped, Endpoint,
    ]  # fmt: skip
    assert answered(stage) == ["asked", "now"]


def test_a_reply_ends_what_is_being_said() -> None:
    stage = Stage(UNASKED)
    ask(stage)
    stage.say(600)
    stage.note(stage.director.reply(stage.now))
    assert answered(stage) == ["asked", "now"]
    assert not stage.of(Reply)


def test_a_cough_does_not_take_the_place_of_what_waits() -> None:
    stage = Stage(UNASKED)
    ask(stage)
    stage.say(140)
    stage.play(silent=1_000)
    assert len(stage.of(Dismiss)) == 1
    stage.note(stage.director.reply(stage.now))
    assert len(stage.of(Reply)) == 1


def test_speech_over_an_answer_that_goes_on_is_the_next_turn() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    ask(stage)
    kinds = [type(action) for _, action in stage.actions if not isinstance(action, Commit | Speculate)]
    assert kinds == [SpeechStarted, OpenTurn, SpeechStopped, Endpoint], "and nothing is interrupted"
    assert answered(stage) == ["later"]
    stage.play(silent=3_000)
    assert stage.director.phase == "answer"
    assert not stage.of(Reply)
    end(stage)
    assert len(stage.of(Reply)) == 1
    end(stage)
    assert len(stage.of(Reply)) == 1, "once"


def test_a_backchannel_over_an_answer_that_goes_on_is_told_nowhere() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    stage.say(200)
    stage.play(silent=1_000)
    assert [type(action) for _, action in stage.actions] == [BackchannelHeard]


def test_what_the_loudspeaker_says_does_not_draw_out_a_turn_over_it() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    stage.say(600)
    stage.say(1_000, echo=0.9)
    assert answered(stage) == ["later"]


def test_a_turn_that_outlives_the_answer_is_answered_at_its_end() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    stage.say(600)
    end(stage)
    assert stage.director.phase == "user"
    ask(stage)
    assert answered(stage) == ["now"]
    assert not stage.of(Reply)


def test_who_still_speaks_when_the_answer_ends_is_waited_for() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    ask(stage)
    stage.say(600)
    end(stage)
    assert not stage.of(Reply)
    stage.play(silent=600)
    assert answered(stage) == ["later", "now"]


def test_words_that_are_none_over_an_answer_are_dropped_and_it_goes_on() -> None:
    stage = Stage(GOES_ON)
    stage.words = "backchannel"
    stage.answer()
    stage.say(800)
    stage.play(silent=1_500)
    assert len(stage.of(Dismiss)) == 1
    assert not stage.of(Resume)
    assert not answered(stage)
    assert stage.director.phase == "answer"


def test_stopping_the_answer_lets_the_one_that_waits_begin() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    ask(stage)
    stage.note(stage.director.stop(stage.now))
    assert [type(action) for _, action in stage.actions[-2:]] == [Interrupt, Reply]


def test_with_both_off_nothing_is_ever_said_unasked() -> None:
    stage = Stage(TurnTakingConfig().hearing(None, None, answers=False, interruptible=False))
    ask(stage)
    stage.note(stage.director.reply(stage.now))
    stage.director.answer_started(stage.now)
    stage.play(silent=4_000)
    ask(stage)
    end(stage)
    assert answered(stage) == ["asked", "asked"]
    assert len(stage.of(Reply)) == 1
    assert not stage.of(Interrupt)


def test_a_commit_over_an_answer_that_goes_on_does_not_stop_it() -> None:
    stage = Stage(GOES_ON)
    stage.answer()
    stage.note(stage.director.press(stage.now))
    stage.note(stage.director.commit(stage.now))
    assert not stage.of(Interrupt)
    assert answered(stage) == ["later"]


def test_what_a_client_chose_outlives_a_change_of_mode() -> None:
    kept = TurnTakingConfig.for_mode("turn").heard_as(TurnTakingConfig().hearing(0.7, 0, answers=False))
    assert (kept.mode, kept.start_threshold, kept.preroll_ms, kept.answers) == ("turn", 0.7, 0, False)


STEP = st.one_of(
    st.tuples(st.sampled_from(["say", "hush"]), st.sampled_from([60, 140, 300, 700])),
    st.tuples(st.sampled_from(["press", "commit", "release", "cancel", "reply", "stop", "end"]), st.just(0)),
    st.tuples(st.just("config"), st.integers(0, 3)),
)


@given(st.lists(STEP, max_size=40))
@pytest.mark.parametrize("mode", ["stream", "push"])
def test_answers_come_one_at_a_time_each_to_a_turn_that_has_ended(mode: Any, steps: list[tuple[str, int]]) -> None:
    config = TurnTakingConfig(mode=mode)
    director, now, speaking, waits = TurnDirector(config, lambda: 1.0), 0, False, False
    for what, value in steps:
        if what == "config":
            director.config = config.hearing(None, None, answers=bool(value & 1), interruptible=bool(value & 2))
            continue
        batches = []
        if what in ("say", "hush"):
            for _ in range(value // 20):
                now += 20
                loud = (0.9, -25.0) if what == "say" else (0.0, -60.0)
                batches.append(director.hear(Observation(now, *loud)))
        else:
            batches.append(getattr(director, "answer_ended" if what == "end" else what)(now))
            speaking = speaking and what != "end"
        for action in (action for batch in batches for action in batch):
            match action:
                case Interrupt():
                    assert speaking, "there was nothing to stop"
                    speaking = False
                case Resume():
                    speaking = True
                case Endpoint(answered="now"):
                    assert not speaking
                    speaking, waits = True, False
                case Endpoint():
                    waits = True
                case Reply():
                    assert waits
                    assert not speaking
                    speaking, waits = True, False
        assert (director.phase == "answer") == speaking
