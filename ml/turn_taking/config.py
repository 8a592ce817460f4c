"""Options of turn-taking, each with its reason. The figures behind the defaults: ``docs/turn-taking.md``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Self

Mode = Literal["stream", "turn", "push"]


@dataclass(frozen=True, slots=True)
class TurnTakingConfig:
    """How one session takes turns. Times in ms, levels in dB."""

    mode: Mode = "stream"
    """``stream`` answers as early as it can; ``turn`` waits until what was said is complete; ``push`` goes by a key."""

    # -- what counts as speech
    start_threshold: float = 0.5
    """Probability of speech at or above which a frame is speech while there is silence."""
    stop_threshold: float = 0.35
    """Probability below which a frame is silence while there is speech."""
    silence_db: float = 6.0
    """A frame less than this above the background is silence, whatever its probability: that lags by 0.1 s."""
    min_speech_ms: int = 100
    """Speech that lasts so long opens a turn; shorter bursts are clicks."""
    min_turn_ms: int = 160
    """A turn with less speech than this in all is dismissed: a cough, a door."""
    preroll_ms: int = 320
    """What the model hears from before the start, so that a soft first consonant is not lost."""
    max_turn_ms: int = 30_000
    """A turn is answered after this, whatever is being said."""

    # -- the end of a turn
    speculate_ms: int = 120
    """Silence after which the answer is begun, unheard. Earlier costs computing for pauses inside words."""
    endpoint_min_ms: int = 200
    """Silence that ends a turn which sounds finished."""
    endpoint_max_ms: int = 1_000
    """Silence that ends a turn which sounds unfinished."""
    resume_ms: int = 60
    """Speech after a short silence that means the person goes on."""
    hesitation_ms: int = 120
    """Added to the wait for every time that the person went on in this turn: who hesitates is given time."""

    answers: bool = True
    """Who has ended a turn is answered; else only when somebody asks for it (`TurnDirector.reply`)."""

    # -- speaking over the answer
    interruptible: bool = True
    """Speech stops the answer; else it is the next turn after it."""
    barge_in_ms: int = 420
    """Speech over the answer that stops it where nobody can tell its words. Shorter ones are backchannels."""
    words_ms: int = 160
    """Speech over the answer from which on its words are asked for, and again with every `words_every_ms` of it."""
    words_every_ms: int = 40
    words_barge_in_ms: int = 180
    """Speech that stops the answer when it has words that are no backchannel."""
    wordless_barge_in_ms: int = 760
    """Speech that stops the answer when it has no word, or may be a backchannel."""
    barge_in_db: float = 12.0
    """How far above the background such speech has to be."""
    barge_in_range_db: float = 18.0
    """A frame that is so far below the loudest of a stretch of speech over the answer belongs to it no more: what a
    canceller leaves of the loudspeaker goes on after a person's word."""
    pitched_share: float = 0.4
    """Share of such a stretch that needs the periodicity of a voice: noise and coughs have none."""
    early_ms: int = 3_000
    """For so long after the first answer begins a barge-in has to last longer: the browser's echo canceller learns."""
    early_factor: float = 1.5
    gap_ms: int = 160
    """A pause so long ends a stretch of speech over the answer."""
    continue_ms: int = 700
    """Who goes on so soon after an end-point was never finished: less speech stops the answer then."""
    continued_barge_in_ms: int = 200
    echo_threshold: float = 0.45
    """Share of what the microphone hears that what was played explains, from which on it is the loudspeaker's."""
    false_interruption_ms: int = 520
    """An interruption with less speech than this in all was none: the answer goes on where it stopped. Where words can
    be told, they decide instead, up to `doubt_ms` of speech."""
    doubt_ms: int = 1_600
    resume_answer_ms: int = 400
    """Silence after an interruption without words until the answer goes on."""

    def __post_init__(self) -> None:
        if self.mode not in ("stream", "turn", "push"):
            raise ValueError(f"mode must be stream, turn or push, got {self.mode!r}")
        if not 0.0 < self.stop_threshold <= self.start_threshold < 1.0:
            raise ValueError("thresholds need 0 < stop_threshold <= start_threshold < 1")
        if not 0 < self.speculate_ms <= self.endpoint_min_ms <= self.endpoint_max_ms:
            raise ValueError(
                "needed: 0 < speculate_ms <= endpoint_min_ms <= endpoint_max_ms, got "
                f"{self.speculate_ms}, {self.endpoint_min_ms}, {self.endpoint_max_ms}"
            )

    @classmethod
    def for_mode(cls, mode: Mode, endpoint_min_ms: int | None = None, endpoint_max_ms: int | None = None) -> Self:
        """The defaults of a mode, with bounds of one's own where given (the other bound gives way)."""
        low, high = (480, 1_200) if mode == "turn" else (200, 1_000)
        if endpoint_min_ms is not None:
            low, high = endpoint_min_ms, max(high, endpoint_min_ms)
        if endpoint_max_ms is not None:
            low, high = min(low, endpoint_max_ms), endpoint_max_ms
        return cls(mode=mode, speculate_ms=min(120, low), endpoint_min_ms=low, endpoint_max_ms=high)

    def hearing(
        self, threshold: float | None, preroll_ms: int | None, *, answers: bool = True, interruptible: bool = True
    ) -> Self:
        """A copy for which speech begins at that probability, and ends as far below it as by default."""
        own = TurnTakingConfig()
        start = min(0.99, max(0.01, own.start_threshold if threshold is None else threshold))
        return self.replace(
            start_threshold=start,
            stop_threshold=max(start * 0.5, start - (own.start_threshold - own.stop_threshold)),
            preroll_ms=own.preroll_ms if preroll_ms is None else preroll_ms,
            answers=answers,
            interruptible=interruptible,
        )

    def heard_as(self, before: TurnTakingConfig) -> Self:
        """A copy with what `hearing` of ``before`` set: it outlives a change of mode."""
        kept = ("start_threshold", "stop_threshold", "preroll_ms", "answers", "interruptible")
        return self.replace(**{name: getattr(before, name) for name in kept})

    def replace(self, **changes: Any) -> Self:
        """A copy with ``changes``. Raises ValueError for ones that do not fit together."""
        return dataclasses.replace(self, **changes)
