"""Typed configuration of the phone recogniser, its training recipes and their presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from ml.codec.config import ConfigError
from ml.train.loop import LoopConfig


@dataclass(frozen=True, slots=True)
class RecogniserConfig:
    """Shape of one recogniser."""

    preset: str
    """Name under which weights of this shape are published."""
    sample_rate: int = 16_000
    """Samples per second of mono audio in [-1, 1]."""
    hop: int = 320
    """Samples per frame: 320 gives 50 frames a second."""
    mels: int = 64
    """Mel bands of each of the two windows per frame."""
    width: int = 160
    """Channels of the residual stream."""
    hidden: int = 320
    """Channels inside a residual unit."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """One causal residual unit of three taps per entry; an entry is the dilation in frames."""

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping, the form stored in model cards."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises ConfigError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown recogniser settings {unknown}; this build knows {sorted(known)}")
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**settings)

    @classmethod
    def named(cls, preset: str) -> RecogniserConfig:
        """A preset by name. Raises ConfigError listing the names there are."""
        try:
            return PRESETS[preset]
        except KeyError:
            raise ConfigError(f"no recogniser preset {preset!r}; choose one of {', '.join(PRESETS)}") from None


PRESETS: dict[str, RecogniserConfig] = {
    "recogniser": RecogniserConfig(preset="recogniser"),
    "tiny": RecogniserConfig(preset="tiny", mels=32, width=32, hidden=48, dilations=(1, 2)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserTrainConfig(LoopConfig):
    """One run of `python -m ml train recogniser`."""

    preset: str = "recogniser"
    """Shape of the model."""
    batch_seconds: float = 64.0
    """Seconds of audio per step, padding included; clips of like length share a batch."""
    alignment: float = 0.5
    """Weight of the frame-wise cross-entropy against the phones' known times; CTC alone finds them far later."""
    alignment_delay: int = 3
    """Frames by which the aligned head may lag: what a causal model needs to have heard of a phone."""
    varied_share: float = 0.7
    """Share of clips that sound as a microphone in a room hears them: echo, noise, telephone."""


RECIPES: dict[str, RecogniserTrainConfig] = {
    # About 15 minutes on one core with AMX.
    "cpu-quick": RecogniserTrainConfig(
        name="cpu-quick",
        steps=1_000_000,
        schedule_minutes=14.0,
        learning_rate=3e-3,
        warmup_steps=50,
        validate_every=300,
        average_decay=0.995,
    ),
    "gpu": RecogniserTrainConfig(
        name="gpu", steps=40_000, batch_seconds=600.0, learning_rate=3e-3, warmup_steps=500, validate_every=1_000
    ),
    "tiny": RecogniserTrainConfig(
        name="tiny",
        preset="tiny",
        steps=40,
        batch_seconds=4.0,
        learning_rate=5e-3,
        warmup_steps=5,
        validate_every=20,
        average_decay=0.9,
        autocast=False,
    ),
}
