"""The credit window under a virtual clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apps.voice.credit import CreditWindow

FRAME = 20


def full_window(now: float = 0.0) -> CreditWindow:
    window = CreditWindow(max_ahead_ms=400)
    while window.allows(FRAME, now):
        window.sent(FRAME, now)
    return window


def test_sends_at_most_the_window_at_once() -> None:
    assert full_window().sent_ms == 400


def test_real_time_paces_until_the_first_report() -> None:
    window = full_window()
    assert window.wait_s(FRAME, 0.0) == 0.02
    assert window.allows(FRAME, 0.020)
    assert not window.allows(2 * FRAME, 0.020)


def test_a_first_report_below_real_time_stops_sending_until_it_is_made_good() -> None:
    window = full_window()
    window.sent(FRAME, 1.0)
    window.report(0, 0, 1.0)
    assert window.ahead_ms(1.0) == 420
    assert not window.allows(FRAME, 100.0)


def test_after_a_report_only_reports_make_room() -> None:
    window = full_window()
    window.report(0, 0, 0.1)
    assert not window.allows(FRAME, 100.0)
    assert window.wait_s(FRAME, 100.0) is None
    window.report(0, 40, 0.2)
    assert window.allows(40, 0.2)
    assert not window.allows(60, 0.2)


def test_silence_after_audio_is_overdue_within_five_seconds() -> None:
    window = full_window(10.0)
    assert not window.overdue(14.4)
    assert window.overdue(14.6)


def test_a_client_that_was_sent_nothing_owes_nothing() -> None:
    assert not CreditWindow(max_ahead_ms=400).overdue(1e6)


def test_a_client_that_played_everything_owes_nothing() -> None:
    window = full_window()
    window.report(0, 400, 1.0)
    assert not window.overdue(1e6)


def test_reports_that_stand_still_with_a_full_window_are_overdue() -> None:
    window = full_window()
    for tick in range(1, 25):
        window.report(0, 20, tick * 0.25)
    assert window.overdue(6.0)


def test_a_primed_jitter_buffer_without_new_audio_is_patient() -> None:
    window = CreditWindow(max_ahead_ms=400)
    window.sent(60, 0.0)
    for tick in range(1, 100):
        window.report(0, 0, tick * 0.25)
        assert not window.overdue(tick * 0.25)


def test_interrupting_again_and_again_does_not_hide_silence() -> None:
    window = CreditWindow(max_ahead_ms=400)
    for second in range(5):
        window.restart(second + 1)
        window.sent(FRAME, float(second))
    assert window.overdue(4.6)


def test_a_report_of_another_generation_gives_no_credit() -> None:
    window = full_window()
    window.restart(1)
    for _ in range(20):
        window.sent(FRAME, 1.0)
    window.report(0, 400, 1.0)
    assert not window.allows(FRAME, 1.0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_lies_about_playing_never_give_more_than_the_window(claims: list[int]) -> None:
    window = full_window()
    for claim in claims:
        window.report(0, claim, 1.0)
        assert 0 <= window.ahead_ms(1.0) <= 400


class AnyClient(RuleBasedStateMachine):
    """Whatever a client reports and whenever: the server is never further ahead than the window."""

    def __init__(self) -> None:
        super().__init__()
        self.window = CreditWindow(max_ahead_ms=400)
        self.now = 0.0
        self.last_report = 0

    @rule(seconds=st.floats(0, 3, allow_nan=False))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(frames=st.integers(1, 60))
    def pump(self, frames: int) -> None:
        for _ in range(frames):
            if not self.window.allows(FRAME, self.now):
                wait = self.window.wait_s(FRAME, self.now)
                assert wait is None or wait > 0
                return
            self.window.sent(FRAME, self.now)
            # Real time may have been believed for a client that then reports less: that is no audio sent too soon.
            assert self.window.ahead_ms(self.now) <= self.window.max_ahead_ms + 1e-6

    @rule(played=st.integers(0, 100_000), offset=st.sampled_from([-1, 0, 0, 0, 1]))
    def report(self, played: int, offset: int) -> None:
        self.window.report(self.window.generation + offset, played, self.now)

    @rule()
    @precondition(lambda self: self.window.sent_ms > 0)
    def report_everything(self) -> None:
        self.window.report(self.window.generation, self.window.sent_ms, self.now)
        assert not self.window.overdue(self.now + 1e9)

    @rule()
    def interrupt(self) -> None:
        self.window.restart(self.window.generation + 1)

    @invariant()
    def never_behind(self) -> None:
        assert self.window.ahead_ms(self.now) >= 0


TestAnyClient = AnyClient.TestCase
TestAnyClient.settings = settings(deadline=None)
