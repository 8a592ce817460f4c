"""A stretch of speech that has not led to anything yet: too short so far to be a turn, or to stop the answer."""

from __future__ import annotations

from dataclasses import dataclass

from ml.turn_taking.words import Sort

SILENT_DB = -90.0
_PEAK_MS = 1_000
"""For how long a stretch of speech over the answer is measured by the one before it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One microphone frame of 20 ms.

    ``probability`` of speech, ``level_db`` relative to full scale, ``echo`` 0..1: share of it that what was played
    explains, ``pitched``: it has the periodicity of a voice. The last two count only over an answer.
    """

    end_ms: int
    probability: float
    level_db: float
    echo: float = 0.0
    pitched: bool = True


@dataclass(slots=True)
class Stretch:
    """``from_ms`` is None while there is none."""

    frame_ms: int
    from_ms: int | None = None
    last_ms: int = 0
    voiced_ms: int = 0
    pitched_ms: int = 0
    sort: Sort | None = None
    asked_ms: int = 0
    """Speech that there was when its words were asked for."""
    _peak_db: float = SILENT_DB

    def peak_db(self, now_ms: int) -> float:
        """Of this stretch, or of one just before it."""
        return self._peak_db if now_ms - self.last_ms <= _PEAK_MS else SILENT_DB

    def track(self, o: Observation, voiced: bool, gap_ms: int) -> bool:
        """One frame more; whether there is a stretch. So long a gap ends it."""
        if voiced:
            if self.from_ms is None:
                self.from_ms = o.end_ms - self.frame_ms
                self.voiced_ms = 0
                self._peak_db = self.peak_db(o.end_ms)
            self.voiced_ms += self.frame_ms
            self.pitched_ms += self.frame_ms if o.pitched else 0
            self._peak_db = max(self._peak_db, o.level_db)
            self.last_ms = o.end_ms
            return True
        if self.from_ms is not None and o.end_ms - self.last_ms >= gap_ms:
            self.forget()
        return self.from_ms is not None

    def forget(self) -> None:
        """It has led to something, or never will."""
        self.from_ms = None
        self.voiced_ms = self.pitched_ms = self.asked_ms = 0
        self.sort = None
