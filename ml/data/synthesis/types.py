"""What a synthesised clip is and what it was asked to be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ml.data.synthesis.phones import TimedPhone

SAMPLE_RATE = 16_000
VOICES: tuple[str, ...] = ("arjun", "ravi", "priya", "lakshmi")
EMOTIONS: tuple[str, ...] = (
    *("neutral", "happy", "laugh", "excited", "empathy", "surprise", "thinking"),
    *("telugu_heavy", "telugu_mild"),
)
LIMITS: dict[str, tuple[float, float]] = {
    "pitch_semitones": (-6.0, 6.0),
    "energy_db": (-12.0, 9.0),
    "rate": (0.6, 1.7),
    "accent": (0.0, 1.0),
    "intensity": (0.0, 1.0),
}
"""Range of every control within which the engines still sound clean."""

Audio = NDArray[np.float32]


class SynthesisError(RuntimeError):
    """Speech cannot be made; says why and what to do."""


@dataclass(frozen=True)
class Controls:
    """Continuous controls, recorded with every clip."""

    pitch_semitones: float = 0.0
    """Shift of the whole contour."""
    energy_db: float = 0.0
    """Level against the same clip at 0."""
    rate: float = 1.0
    """Tempo; 2 is twice as fast."""
    accent: float = 0.0
    """Strength of the regional accent on top of what the emotion brings, 0 to 1."""
    intensity: float = 1.0
    """How much of the emotion: 0 is neutral, 1 is all of it."""

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not math.isfinite(value) or not low <= value <= high:
                raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value!r}")

    def as_dict(self) -> dict[str, float]:
        """The five numbers by name, for a manifest."""
        return asdict(self)


@dataclass(frozen=True)
class SpokenClip:
    """Speech with its phones in time."""

    audio: Audio
    """float32 [T] at 16 kHz in [-1, 1]."""
    phones: tuple[TimedPhone, ...]
    """Contiguous from 0 to the clip's end, pauses included as `sil`."""
    text: str
    speaker: str
    emotion: str
    controls: Controls
    engine: str
