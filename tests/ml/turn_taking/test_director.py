"""Conversations in virtual time: what the director decides, and when."""

from collections.abc import Callable

import pytest

from ml.turn_taking import (
    Action,
    BackchannelHeard,
    Commit,
    Dismiss,
    Endpoint,
    Interrupt,
    Observation,
    OpenTurn,
    Resume,
    Speculate,
    SpeechStarted,
    SpeechStopped,
    TurnDirector,
    TurnTakingConfig,
    Withdraw,
)
from ml.turn_taking.words import Sort


class Stage:
    """Plays a script of (speech or silence, ms) into a director and keeps what it decided."""

    def __init__(self, config: TurnTakingConfig | None = None, finished: Callable[[], float] = lambda: 1.0) -> None:
        self.words: Sort | None = None
        self.director = TurnDirector(config, finished, words=lambda from_ms: self.words)
        self.now = 0
        self.actions: list[tuple[int, Action]] = []
        self.play(silent=400)

    def play(
        self,
        *,
        level_db: float = -60.0,
        probability: float = 0.0,
        echo: float = 0.0,
        pitched: bool = True,
        silent: int = 0,
    ) -> None:
        for _ in range(silent // 20):
            self.now += 20
            self.note(self.director.hear(Observation(self.now, probability, level_db, echo, pitched)))

    def say(self, ms: int, level_db: float = -25.0, echo: float = 0.0, pitched: bool = True) -> None:
        self.play(level_db=level_db, probability=0.9, echo=echo, pitched=pitched, silent=ms)

    def note(self, actions: list[Action]) -> None:
        self.actions += [(self.now, action) for action in actions]

    def of(self, kind: type[Action]) -> list[Action]:
        return [action for _, action in self.actions if isinstance(action, kind)]

    def answer(self) -> None:
        """Say something, get an answer that is audible now."""
        self.say(1000)
        self.play(silent=1000)
        assert self.director.phase == "answer"
        self.director.answer_started(self.now)
        # As after a while: the echo canceller has converged, nobody goes on with the same phrase.
        self.play(silent=4000)
        self.actions.clear()


def test_a_finished_phrase_is_answered_after_the_short_wait() -> None:
    stage = Stage()
    stage.say(1000)
    stage.play(silent=400)
    kinds = [type(action) for _, action in stage.actions]
    assert kinds == [SpeechStarted, OpenTurn, Speculate, SpeechStopped, Endpoint]
    (endpoint,) = stage.of(Endpoint)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.speech_start_ms, endpoint.speech_end_ms) == (400, 1400)
    assert endpoint.decided_ms - endpoint.speech_end_ms == 200
    (opened,) = stage.of(OpenTurn)
    assert opened == OpenTurn(80)
    assert stage.director.phase == "answer"


def test_an_unfinished_phrase_is_given_time() -> None:
    stage = Stage(finished=lambda: 0.0)
    stage.say(1000)
    stage.play(silent=980)
    assert not stage.of(Endpoint)
    stage.play(silent=40)
    assert len(stage.of(Endpoint)) == 1


def test_who_goes_on_withdraws_what_was_begun_and_gets_more_time_at_the_next_pause() -> None:
    stage = Stage(finished=lambda: 0.9)
    stage.say(600)
    stage.play(silent=160)
    first = stage.of(Speculate)[0]
    stage.say(400)
    assert len(stage.of(Withdraw)) == 1
    stage.play(silent=160)
    second = stage.of(Speculate)[1]
    assert isinstance(first, Speculate)
    assert isinstance(second, Speculate)
    assert second.wait_ms == first.wait_ms + 120
    assert not stage.of(Endpoint)


def test_a_click_in_the_pause_withdraws_nothing() -> None:
    stage = Stage()
    stage.say(600)
    stage.play(silent=140)
    stage.say(40)
    stage.play(silent=200)
    assert not stage.of(Withdraw)
    assert len(stage.of(Endpoint)) == 1


@pytest.mark.parametrize(("ms", "opened"), [(80, 0), (140, 1)])
def test_a_cough_is_no_turn(ms: int, opened: int) -> None:
    stage = Stage()
    stage.say(ms)
    stage.play(silent=1000)
    assert len(stage.of(OpenTurn)) == opened
    assert len(stage.of(Dismiss)) == opened
    assert not stage.of(Endpoint)
    assert stage.director.phase == "idle"


def test_endless_speech_is_answered_in_the_end() -> None:
    stage = Stage(TurnTakingConfig(max_turn_ms=3000))
    stage.say(3500)
    (endpoint,) = stage.of(Endpoint)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.reason == "too_long"


def test_turn_mode_waits_longer_than_stream_mode() -> None:
    waits = []
    for mode in ("stream", "turn"):
        stage = Stage(TurnTakingConfig.for_mode(mode))
        stage.say(1000)
        stage.play(silent=1300)
        (endpoint,) = stage.of(Endpoint)
        assert isinstance(endpoint, Endpoint)
        waits.append(endpoint.decided_ms - endpoint.speech_end_ms)
    assert waits == [200, 480]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(None, 180, (180, 180)), (1000, None, (1000, 1000)), (150, 700, (150, 700))]
)
def test_bounds_of_ones_own_always_fit_together(low: int | None, high: int | None, expected: tuple[int, int]) -> None:
    config = TurnTakingConfig.for_mode("stream", low, high)
    assert (config.endpoint_min_ms, config.endpoint_max_ms) == expected


def test_what_counts_as_speech_may_be_chosen_and_survives_a_change_of_the_wait() -> None:
    default = TurnTakingConfig()
    assert default.hearing(None, None) == default
    strict = default.hearing(0.8, 0)
    assert (strict.start_threshold, round(strict.stop_threshold, 2), strict.preroll_ms) == (0.8, 0.65, 0)
    for threshold in (0.0, 0.1, 1.0):
        default.hearing(threshold, 900)  # always thresholds that fit together


# -- over the answer ---------------------------------------------------------------------------------------


def test_speech_over_the_answer_stops_it_and_becomes_the_next_turn() -> None:
    stage = Stage()
    stage.answer()
    began = stage.now
    stage.say(440)
    (interrupt,) = stage.of(Interrupt)
    assert interrupt == Interrupt(began, began + 420, "barge_in")
    assert stage.of(OpenTurn) == [OpenTurn(began - 320)]
    assert not stage.of(Commit)
    stage.say(400)
    assert stage.of(Commit) == [Commit(began + 520)]
    stage.play(silent=400)
    assert len(stage.of(Endpoint)) == 1


@pytest.mark.parametrize("ms", [160, 300, 380])
def test_a_backchannel_does_not_stop_her(ms: int) -> None:
    stage = Stage()
    stage.answer()
    stage.say(ms)
    stage.play(silent=600)
    assert not stage.of(Interrupt)
    assert len(stage.of(BackchannelHeard)) == 1
    assert stage.director.phase == "answer"


def test_soft_sounds_do_not_stop_her() -> None:
    stage = Stage()
    stage.answer()
    stage.say(1500, level_db=-54.0)
    assert not stage.of(Interrupt)


def test_her_own_voice_in_the_microphone_does_not_stop_her() -> None:
    stage = Stage()
    stage.answer()
    stage.say(2000, echo=0.8)
    assert not stage.of(Interrupt)
    stage.say(500, echo=0.2)
    assert len(stage.of(Interrupt)) == 1


def test_a_false_interruption_lets_her_go_on() -> None:
    stage = Stage()
    stage.answer()
    stage.say(460)
    assert len(stage.of(Interrupt)) == 1
    stage.play(silent=400)
    assert len(stage.of(Resume)) == 1
    assert not stage.of(Endpoint)
    assert stage.director.phase == "answer"


def test_the_first_seconds_need_a_longer_barge_in() -> None:
    stage = Stage()
    stage.say(1000)
    stage.play(silent=1200)
    stage.director.answer_started(stage.now)
    stage.say(600)
    assert not stage.of(Interrupt)
    stage.say(60)
    assert len(stage.of(Interrupt)) == 1


def test_who_goes_on_right_after_the_endpoint_was_not_finished() -> None:
    stage = Stage()
    stage.say(1000)
    stage.play(silent=300)
    assert stage.director.phase == "answer"
    stage.play(silent=200)
    stage.say(220)
    (interrupt,) = stage.of(Interrupt)
    assert isinstance(interrupt, Interrupt)
    assert interrupt.reason == "continued"
    stage.play(silent=300)
    assert not stage.of(Resume)  # it is part of the question, however short
    assert len(stage.of(Endpoint)) == 2


def test_who_speaks_while_she_ends_has_the_next_turn() -> None:
    stage = Stage()
    stage.answer()
    stage.say(200)
    stage.note(stage.director.answer_ended(stage.now))
    assert len(stage.of(OpenTurn)) == 1
    stage.say(300)
    stage.play(silent=400)
    assert len(stage.of(Endpoint)) == 1


def test_the_stop_button() -> None:
    stage = Stage()
    stage.answer()
    stage.note(stage.director.stop(stage.now))
    assert stage.of(Interrupt) == [Interrupt(stage.now, stage.now, "client")]
    assert stage.director.phase == "idle"


# -- push to talk ------------------------------------------------------------------------------------------


def test_push_to_talk_goes_by_the_key_alone() -> None:
    stage = Stage(TurnTakingConfig(mode="push"))
    stage.say(1000)
    assert not stage.actions
    stage.note(stage.director.press(stage.now))
    stage.say(300)
    stage.play(silent=3000)
    stage.say(300)
    assert not stage.of(Endpoint)
    stage.note(stage.director.release(stage.now))
    (endpoint,) = stage.of(Endpoint)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.reason == "released"
    stage.note(stage.director.press(stage.now))
    assert len(stage.of(Interrupt)) == 1
    stage.note(stage.director.release(stage.now))
    assert len(stage.of(Dismiss)) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "shout"}, {"endpoint_min_ms": 900, "endpoint_max_ms": 300}, {"stop_threshold": 0.9}, {"speculate_ms": 0}],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"mode|threshold|endpoint"):
        TurnTakingConfig().replace(**wrong)


def test_words_stop_her_sooner_than_a_backchannel_of_any_length() -> None:
    stage = Stage()
    stage.answer()
    stage.words = "words"
    stage.say(200)
    (interrupt,) = stage.of(Interrupt)
    assert isinstance(interrupt, Interrupt)
    assert interrupt.decided_ms - interrupt.speech_start_ms == 180
    assert stage.of(Commit), "words are no backchannel: the answer will not go on"

    stage = Stage()
    stage.answer()
    stage.words = "backchannel"
    stage.say(700)
    stage.play(silent=400)
    assert not stage.of(Interrupt)
    assert len(stage.of(BackchannelHeard)) == 1


@pytest.mark.parametrize(("words", "goes_on"), [("backchannel", True), ("nothing", True), ("words", False)])
def test_a_long_sound_stops_her_and_its_words_decide_whether_she_goes_on(words: Sort, goes_on: bool) -> None:
    stage = Stage()
    stage.answer()
    stage.words = "backchannel"
    stage.say(800)
    assert len(stage.of(Interrupt)) == 1
    assert not stage.of(Commit)
    stage.words = words
    stage.say(100)
    stage.play(silent=600)
    assert bool(stage.of(Resume)) is goes_on
    assert bool(stage.of(Commit)) is not goes_on
    assert bool(stage.of(Endpoint)) is not goes_on


def test_noise_without_pitch_stops_nobody() -> None:
    stage = Stage()
    stage.answer()
    stage.say(1500, pitched=False)
    assert not stage.of(Interrupt)


def test_what_is_far_below_the_loudest_of_a_sound_is_no_part_of_it() -> None:
    stage = Stage()
    stage.answer()
    stage.say(200, level_db=-22.0)
    stage.say(600, level_db=-45.0)
    assert not stage.of(Interrupt), "a word, and then what the canceller leaves of the loudspeaker"
