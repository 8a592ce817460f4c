"""Conditions from what people write: names of speakers and emotions, blends."""

from __future__ import annotations

from ml.s2s.batch import Conditions
from ml.s2s.config import S2SConfig, S2SConfigError


def blend_of(config: S2SConfig, text: str) -> list[float]:
    """Weights over `config.speakers` from `priya`, or `priya=0.7,ravi=0.3`. Raises S2SConfigError."""
    weights = [0.0] * len(config.speakers)
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            weights[config.speakers.index(name.strip())] += float(share) if share else 1.0
        except ValueError:
            known = ", ".join(config.speakers)
            raise S2SConfigError(
                f"speaker {part.strip()!r}: give one of {known}, or a blend such as priya=0.7,ravi=0.3"
            ) from None
    if min(weights) < 0 or sum(weights) <= 0:
        raise S2SConfigError(f"speaker {text!r}: weights of a blend must not be negative, and not all 0")
    return weights


def conditions_of(config: S2SConfig, speaker: str, emotion: str, **dials: float) -> Conditions:
    """Conditions of one answer; `dials` as in `Conditions.one`. Raises S2SConfigError for unknown names."""
    if emotion not in config.emotions:
        raise S2SConfigError(f"no emotion {emotion!r}; choose one of {', '.join(config.emotions)}")
    return Conditions.one(
        blend_of(config, speaker), config.emotions.index(emotion), n_speakers=config.n_speakers, **dials
    )
