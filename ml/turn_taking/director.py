"""The director of one session: microphone frames in, decisions out.

A state machine on media time, so that whole conversations are tested without a clock::

    idle --speech--> user --silence >= wait--> answer --audible end--> idle
                      ^ |                        |
                      | +-- silence: speculate   +-- barge-in --> user (then Resume, if it was too short to be one)
                      +---- speech: withdraw

Where speech does not stop the answer (`TurnTakingConfig.interruptible`), a turn may be open in ``answer``, too; it is
answered once the answer is over. Where nobody is answered unasked (`answers`), a turn ends in ``idle`` and waits for
`TurnDirector.reply`.

It never computes: how finished a phrase is, is asked of ``finished`` when a silence begins, what sort of words there
are since a moment, of ``words`` (None: nobody can tell); what is the loudspeaker's comes with the observation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ml.turn_taking.actions import (
    Action,
    BackchannelHeard,
    Commit,
    Dismiss,
    Endpoint,
    Interrupt,
    OpenTurn,
    Reply,
    Resume,
    Speculate,
    SpeechStarted,
    SpeechStopped,
    When,
    Withdraw,
)
from ml.turn_taking.config import TurnTakingConfig
from ml.turn_taking.stretch import SILENT_DB, Observation, Stretch
from ml.turn_taking.words import Sort

Phase = Literal["idle", "user", "answer"]

_FLOOR_RISE_DB = 0.02
"""How fast the background level follows upwards, per frame: 1 dB a second."""


@dataclass(slots=True)
class _Turn:
    """What the person is saying."""

    start_ms: int
    last_voiced_ms: int
    voiced_ms: int
    doubtful: bool = False
    """It began by stopping an answer, and may still have been a backchannel."""
    by_words: bool = False
    """Whether words decide that, or how long it is."""
    asked_ms: int = 0
    """Speech that there was when words were asked for."""
    speculating: bool = False
    wait_ms: int = 0
    hesitations: int = 0
    run_ms: int = 0
    """Speech in a row since the last silence."""


class TurnDirector:
    """Feed it every microphone frame in order; it returns what is to be done, in order."""

    def __init__(
        self,
        config: TurnTakingConfig | None = None,
        finished: Callable[[], float] = lambda: 0.5,
        frame_ms: int = 20,
        words: Callable[[int], Sort | None] = lambda from_ms: None,
    ) -> None:
        self.config = config or TurnTakingConfig()
        self.phase: Phase = "idle"
        self._finished = finished
        self._frame_ms = frame_ms
        self._words = words
        self._turn: _Turn | None = None
        self._voiced = False
        self._floor_db = SILENT_DB
        self._run = Stretch(frame_ms)
        self._waiting: When = "now"
        """When the newest turn that has ended is answered; "now": none waits."""
        self._pressed = False
        self._first_answer_ms: int | None = None
        self._endpoint_ms = -1_000_000

    @property
    def speaking(self) -> bool:
        """Whether a turn of the person is open."""
        return self._turn is not None

    @property
    def overlapping(self) -> bool:
        """Whether the person makes sounds over the answer; only then it matters whether they are the loudspeaker."""
        return self.phase == "answer" and self._voiced

    # -- what happens --------------------------------------------------------------------------------------

    def hear(self, o: Observation) -> list[Action]:
        """One frame of the microphone."""
        if o.level_db < self._floor_db or self._floor_db <= SILENT_DB:
            self._floor_db = max(SILENT_DB, o.level_db)
        elif not self._voiced:
            self._floor_db += min(10 * _FLOOR_RISE_DB, o.level_db - self._floor_db)
        else:
            self._floor_db += _FLOOR_RISE_DB
        threshold = self.config.stop_threshold if self._voiced else self.config.start_threshold
        self._voiced = o.probability >= threshold and o.level_db >= self._floor_db + self.config.silence_db
        if self._turn is not None:
            return self._in_turn(self._turn, o)
        if self.phase == "answer":
            return self._over_answer(o)
        return self._while_idle(o)

    def answer_started(self, now_ms: int) -> None:
        """The first audio of the answer left for the loudspeaker."""
        if self._first_answer_ms is None:
            self._first_answer_ms = now_ms

    def answer_ended(self, now_ms: int) -> list[Action]:
        """Nothing of the answer is left to be heard. Who was speaking over it has a turn now."""
        if self.phase != "answer":
            return []
        start, voiced = self._run.from_ms, self._run.voiced_ms
        self._silence_her()
        if start is not None and voiced >= self.config.min_speech_ms and self.config.mode != "push":
            return self._open(start, now_ms, voiced, told=self.config.interruptible)
        return self._next(now_ms)

    def press(self, now_ms: int) -> list[Action]:
        """The key of push-to-talk went down."""
        if self._pressed:
            return []
        self._pressed = True
        actions = self._stop(now_ms, "pressed") if self.config.interruptible else []
        if self._turn is None:
            actions += self._open(now_ms, now_ms, 0, told=False)
        return actions

    def release(self, now_ms: int) -> list[Action]:
        """The key went up: what was said is answered at once, unless that was next to nothing."""
        if not self._pressed:
            return []
        self._pressed = False
        turn = self._turn
        if turn is None:
            return []
        if turn.voiced_ms < self.config.min_turn_ms:
            return self._dismiss(turn, now_ms)
        return self._end(turn, now_ms, "released")

    def commit(self, now_ms: int) -> list[Action]:
        """The open turn is over and is answered, however little was said: its client says that it is one.

        So is one that was dismissed while the key was down, as another mode does; nothing was said in it, then.
        """
        pressed, self._pressed = self._pressed, False
        actions: list[Action] = []
        if self._turn is None and pressed and self.phase == "idle":
            actions = self._open(now_ms, now_ms, 0, told=False)
        return [*actions, *self._end(self._turn, now_ms, "released")] if self._turn is not None else []

    def reply(self, now_ms: int) -> list[Action]:
        """An answer is wanted now: to what is being said, else to what waits for one, else to nothing at all."""
        self._pressed = False
        actions = self._stop(now_ms, "pressed")
        if self._turn is None and self._waiting != "now":
            return [*actions, *self._reply(now_ms)]
        if self._turn is None:
            actions += self._open(now_ms, now_ms, 0, told=False)
        assert self._turn is not None
        return [*actions, *self._end(self._turn, now_ms, "released", when="now")]

    def cancel(self, now_ms: int) -> list[Action]:
        """The open turn counts for nothing."""
        self._pressed = False
        return self._dismiss(self._turn, now_ms) if self._turn is not None else []

    def stop(self, now_ms: int) -> list[Action]:
        """The person wants the answer to stop (a button, REST)."""
        stopped = self._stop(now_ms, "client")
        return [*stopped, *self._next(now_ms)] if stopped else []

    # -- the phases ----------------------------------------------------------------------------------------

    def _while_idle(self, o: Observation) -> list[Action]:
        if self.config.mode == "push":
            return []
        if not self._run.track(o, self._voiced, self.config.min_speech_ms):
            return []
        start, voiced = self._run.from_ms, self._run.voiced_ms
        assert start is not None
        if voiced < self.config.min_speech_ms:
            return []
        return self._open(start, o.end_ms, voiced, told=False)

    def _in_turn(self, turn: _Turn, o: Observation) -> list[Action]:
        config = self.config
        if self._voiced and (self.phase != "answer" or self._over_her(o)):
            turn.voiced_ms += self._frame_ms
            turn.run_ms += self._frame_ms
            if turn.speculating and turn.run_ms < config.resume_ms:
                return []  # a click is no word
            turn.last_voiced_ms = o.end_ms
            actions: list[Action] = []
            if turn.speculating:
                turn.speculating = False
                turn.hesitations += 1
                actions.append(Withdraw(o.end_ms))
            if turn.doubtful and self._is_turn(turn):
                turn.doubtful = False
                actions.append(Commit(o.end_ms))
            if o.end_ms - turn.start_ms >= config.max_turn_ms:
                actions += self._end(turn, o.end_ms, "too_long")
            return actions
        if turn.run_ms and turn.run_ms < config.resume_ms:
            turn.voiced_ms -= turn.run_ms
        turn.run_ms = 0
        if config.mode == "push":
            return []
        silence = o.end_ms - turn.last_voiced_ms
        actions = []
        if not turn.speculating and silence >= config.speculate_ms:
            finished = min(1.0, max(0.0, self._finished()))
            span = config.endpoint_max_ms - config.endpoint_min_ms
            wait = round(config.endpoint_min_ms + span * (1.0 - finished))
            turn.wait_ms = min(wait + turn.hesitations * config.hesitation_ms, config.endpoint_max_ms)
            turn.speculating = True
            actions.append(Speculate(turn.last_voiced_ms, turn.wait_ms, finished))
        if turn.doubtful and turn.by_words and silence >= config.resume_answer_ms and not self._is_turn(turn, now=True):
            return [*actions, *self._go_on(turn, o.end_ms)]
        if turn.speculating and silence >= turn.wait_ms:
            if turn.doubtful and not (turn.by_words and self._is_turn(turn, now=True)):
                return [*actions, *self._go_on(turn, o.end_ms)]
            if turn.voiced_ms < config.min_turn_ms:
                return [*actions, *self._dismiss(turn, o.end_ms)]
            return [*actions, *self._end(turn, o.end_ms, "silence")]
        return actions

    def _over_answer(self, o: Observation) -> list[Action]:
        config = self.config
        if config.mode == "push":
            return []
        run, told = self._run, config.interruptible
        before = run.from_ms is not None and run.voiced_ms >= config.min_speech_ms
        duration, start = run.voiced_ms, run.from_ms
        if not run.track(o, self._voiced and self._over_her(o), config.gap_ms):
            if before and start is not None:
                stopped: list[Action] = [SpeechStopped(run.last_ms)] if told else []
                return [*stopped, BackchannelHeard(start, duration)]
            return []
        start = run.from_ms
        assert start is not None
        actions: list[Action] = []
        if told and not before and run.voiced_ms >= config.min_speech_ms:
            actions.append(SpeechStarted(start))
        continued = config.interruptible and start - self._endpoint_ms <= config.continue_ms
        sort = None if continued else self._sort_of_run(start)
        if continued:
            needed = float(config.continued_barge_in_ms)
        elif sort is None:
            needed = float(config.barge_in_ms)
        else:
            needed = float(config.words_barge_in_ms if sort == "words" else config.wordless_barge_in_ms)
        if self._first_answer_ms is not None and o.end_ms - self._first_answer_ms < config.early_ms:
            needed *= config.early_factor
        if run.voiced_ms >= needed and run.pitched_ms >= config.pitched_share * run.voiced_ms:
            voiced = run.voiced_ms
            if config.interruptible:
                actions.append(Interrupt(start, o.end_ms, "continued" if continued else "barge_in"))
            actions += self._open(start, o.end_ms, voiced, told=told)
            assert self._turn is not None
            turn = self._turn
            turn.by_words, turn.asked_ms = sort is not None, voiced
            turn.doubtful = not continued and sort != "words" and not self._is_turn(turn)
            if not continued and not turn.doubtful:
                actions.append(Commit(o.end_ms))
        return actions

    # -- inside --------------------------------------------------------------------------------------------

    def _over_her(self, o: Observation) -> bool:
        """Whether speech over the answer is the person's, and not what is left of the loudspeaker."""
        config = self.config
        quietest = max(self._floor_db + config.barge_in_db, self._run.peak_db(o.end_ms) - config.barge_in_range_db)
        return o.level_db >= quietest and o.echo < config.echo_threshold

    def _sort_of_run(self, start_ms: int) -> Sort | None:
        """What sort of words the stretch of speech over the answer has; asked now and then."""
        run, config = self._run, self.config
        if run.voiced_ms >= config.words_ms and run.voiced_ms - run.asked_ms >= config.words_every_ms:
            run.asked_ms = run.voiced_ms
            run.sort = self._words(start_ms)
        return run.sort

    def _is_turn(self, turn: _Turn, *, now: bool = False) -> bool:
        """Whether speech that stopped an answer is more than a backchannel; `now` asks for its words once more."""
        config = self.config
        if not turn.by_words:
            return turn.voiced_ms >= config.false_interruption_ms
        if turn.voiced_ms >= config.doubt_ms:
            return True
        if not now and turn.voiced_ms - turn.asked_ms < config.words_every_ms:
            return False
        turn.asked_ms = turn.voiced_ms
        return self._words(turn.start_ms) == "words"

    def _open(self, start_ms: int, now_ms: int, voiced_ms: int, *, told: bool) -> list[Action]:
        if self.phase != "answer" or self.config.interruptible:
            self.phase = "user"
        last = self._run.last_ms if voiced_ms else now_ms
        self._turn = _Turn(start_ms, max(start_ms, last), voiced_ms)
        self._run.forget()
        speech: list[Action] = [] if told else [SpeechStarted(start_ms)]
        return [*speech, OpenTurn(max(0, start_ms - self.config.preroll_ms))]

    def _end(
        self, turn: _Turn, now_ms: int, reason: Literal["silence", "released", "too_long"], when: When | None = None
    ) -> list[Action]:
        if when is None:
            when = "asked" if not self.config.answers else "later" if self.phase == "answer" else "now"
        self._turn = None
        self._waiting = when
        if when == "now":
            self.phase = "answer"
            self._endpoint_ms = now_ms
        elif self.phase == "user":
            self.phase = "idle"
        self._run.forget()
        return [
            SpeechStopped(turn.last_voiced_ms),
            Endpoint(turn.start_ms, turn.last_voiced_ms, now_ms, reason, when),
        ]

    def _dismiss(self, turn: _Turn, now_ms: int) -> list[Action]:
        self._turn = None
        if self.phase == "user":
            self.phase = "idle"
        self._run.forget()
        return [SpeechStopped(turn.last_voiced_ms), Dismiss(now_ms), *self._next(now_ms)]

    def _go_on(self, turn: _Turn, now_ms: int) -> list[Action]:
        """What was said over the answer was no turn."""
        if self.phase == "answer":
            return self._dismiss(turn, now_ms)
        self._turn = None
        self.phase = "answer"
        self._run.forget()
        return [SpeechStopped(turn.last_voiced_ms), Resume(now_ms)]

    def _stop(self, now_ms: int, reason: Literal["pressed", "client"]) -> list[Action]:
        """The answer is over, if there is one."""
        if self.phase != "answer":
            return []
        self._silence_her()
        return [Interrupt(now_ms, now_ms, reason)]

    def _silence_her(self) -> None:
        self.phase = "idle" if self._turn is None else "user"
        self._run.forget()

    def _next(self, now_ms: int) -> list[Action]:
        """Whoever spoke over the answer is answered, once nothing is to be heard any more."""
        return self._reply(now_ms) if self._waiting == "later" and self.phase == "idle" else []

    def _reply(self, now_ms: int) -> list[Action]:
        self._waiting = "now"
        self.phase = "answer"
        self._run.forget()
        return [Reply(now_ms)]
