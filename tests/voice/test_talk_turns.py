"""A conversation cut into turns as they were heard, on the test's own clock."""

import numpy as np

from apps.voice.talk_turns import TalkTurns
from apps.voice.turns import TurnCut

FRAME = b"\1\0" * 320
CODE = np.ones((8, 1), np.uint16)
PCM = b"\2\0" * 640


def asked(turns: TalkTurns, start_ms: int = 400, end_ms: int = 1400, turn: int = 0) -> np.ndarray:
    for _ in range(100):
        turns.mic(FRAME)
    turns.speech("started", start_ms)
    turns.endpoint(turn, start_ms, end_ms, 300)
    codes = np.full((8, 30), turn, np.uint16)
    turns.question_codes(turn, codes)
    return codes


PLAN = 17


def answer(turns: TalkTurns, frames: int = 10, turn: int = 0, generation: int = 0, at_ms: int = 0) -> None:
    turns.answer_started(turn, {"endpoint_ms": 300.0, "server_ms": 5.0}, PLAN)
    for n in range(frames):
        made = turns.answer_audio(PCM, CODE)
        assert made is not None
        turns.answer_left(made, generation, at_ms + 40 * n, 2.0)


def only(cuts: list[TurnCut]) -> TurnCut:
    (cut,) = cuts
    return cut


def test_what_was_said_is_cut_with_a_little_before_and_after() -> None:
    turns = TalkTurns()
    codes = asked(turns)
    cut = only(turns.take(0.0))
    assert (cut.role, cut.started_ms, cut.duration_ms) == ("user", 100, 1400)
    assert len(cut.pcm) == 1400 * 32
    assert cut.latency == {"endpoint_ms": 300.0}
    assert cut.codes is codes


def test_an_answer_heard_to_its_end_is_whole() -> None:
    turns = TalkTurns()
    asked(turns)
    turns.take(0.0)
    answer(turns)
    turns.answer_ended(0, "end", now=1.0)
    turns.played(0, 200, 90)
    assert turns.take(1.1) == []
    turns.played(0, 400, 90)
    cut = only(turns.take(1.2))
    assert (cut.role, cut.duration_ms, cut.interrupted_at_ms) == ("assistant", 400, None)
    assert cut.response_ms == 307
    assert cut.latency == {"endpoint_ms": 300.0, "server_ms": 5.0, "web_ms": 2.0, "playback_ms": 90.0}
    assert cut.codes is not None
    assert cut.codes.shape == (8, 10)


def test_a_player_that_says_nothing_is_not_waited_for_for_ever() -> None:
    turns = TalkTurns()
    asked(turns)
    turns.take(0.0)
    answer(turns)
    turns.answer_ended(0, "end", now=1.0)
    assert turns.take(2.5) == []
    assert only(turns.take(3.0)).duration_ms == 400


def test_an_interrupted_answer_is_stored_as_it_was_heard() -> None:
    turns = TalkTurns()
    codes = asked(turns)
    turns.take(0.0)
    answer(turns)
    assert turns.answer_interrupted("barge_in", 170.0, now=1.0) == 170
    turns.played(0, 185, 0)  # the player's last word on that generation
    assert turns.take(2.0) == []  # it may have been a cough
    asked(turns, 3000, 4000, turn=1)
    hers, mine = turns.take(2.1)
    assert (hers.role, hers.duration_ms, hers.interrupted_at_ms) == ("assistant", 185, 185)
    assert len(hers.pcm) == 185 * 32
    assert mine.role == "user"
    told = turns.pairs[0]
    assert told.question is codes
    assert told.answer.shape == (8, 5)
    assert (told.plan, hers.plan, mine.plan) == (PLAN, PLAN, None), "five frames of it would not tell"


def test_an_interruption_that_was_none_leaves_one_whole_answer() -> None:
    turns = TalkTurns()
    asked(turns)
    turns.take(0.0)
    answer(turns)
    turns.answer_interrupted("barge_in", 160.0, now=1.0)
    turns.answer_resumed()
    for n in range(6):  # from the fifth frame on, once more, in another generation
        made = turns.answer_audio(PCM, CODE)
        assert made is not None
        turns.answer_left(made, 1, 40 * n, 2.0)
    turns.answer_ended(0, "end", now=2.0)
    turns.played(1, 240, 90)
    cut = only(turns.take(2.1))
    assert (cut.duration_ms, cut.interrupted_at_ms) == (400, None)
    assert cut.codes is not None
    assert cut.codes.shape == (8, 10)


def test_an_answer_of_which_nothing_was_heard_is_no_turn() -> None:
    turns = TalkTurns()
    asked(turns)
    turns.take(0.0)
    answer(turns)
    turns.answer_interrupted("continued", 0.0, now=1.0)
    assert turns.take(10.0) == []
    assert turns.pairs[0].answer.shape == (8, 0)


def test_the_end_of_the_connection_keeps_what_there_is() -> None:
    turns = TalkTurns()
    asked(turns)
    answer(turns)
    cuts = turns.flush(240.0)
    assert [(cut.role, cut.duration_ms) for cut in cuts] == [("user", 1400), ("assistant", 240)]
    for _ in range(50):
        turns.mic(FRAME)
    turns.speech("started", 2200)
    assert only(turns.flush(0.0)).role == "user"


def test_what_is_said_over_an_answer_that_goes_on_is_stored_behind_it() -> None:
    turns = TalkTurns()
    first = asked(turns)
    answer(turns, frames=5)
    turns.endpoint(1, 1500, 1900, 300, answered="later")
    second = np.full((8, 30), 1, np.uint16)
    turns.question_codes(1, second)
    assert only(turns.take(0.0)).codes is first
    made = turns.answer_audio(PCM, CODE)
    assert made is not None, "it goes on"
    turns.answer_ended(0, "end", now=1.0)
    turns.answer_started(1, {"server_ms": 5.0})
    behind = turns.take(1.1)
    assert [(cut.role, cut.duration_ms) for cut in behind] == [("assistant", 240), ("user", 800)]
    turns.answer_audio(PCM, CODE)
    turns.flush(0.0)
    assert [(pair.question[0, 0], pair.answer.shape[1]) for pair in turns.pairs] == [(0, 6), (1, 0)]
    assert turns.pairs[1].question is second


def test_questions_that_are_never_answered_are_remembered_as_such() -> None:
    turns = TalkTurns()
    for turn in range(3):
        turns.endpoint(turn, 400, 1400, 300, answered="asked")
        turns.question_codes(turn, np.full((8, 30), turn, np.uint16))
    turns.answer_started(2, {})
    turns.answer_audio(PCM, CODE)
    turns.answer_interrupted("client", 40.0, now=1.0)
    turns.flush(40.0)
    assert [(pair.question[0, 0], pair.answer.shape[1]) for pair in turns.pairs] == [(0, 0), (1, 0), (2, 0)]
