"""How codes are drawn. Every row brings its own uniform numbers, so that its result depends on its seed alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """Options of generation. A sequence gives one value per level; levels beyond its end take its last value."""

    temperature: tuple[float, ...] = (0.4, 0.4, 0.4, 0.3)
    """0 takes the likeliest code."""
    top_k: tuple[int, ...] = (50, 50, 50, 30)
    """Codes drawn from at most; 0 for all."""
    top_p: tuple[float, ...] = (0.95, 0.95, 0.9, 0.9)
    """Likeliest codes whose probabilities sum to at least this; 1 for all."""
    plan_temperature: float = 0.3
    """Temperature of the choice among answers; 0 takes the likeliest."""
    pace_temperature: float = 0.7
    """Temperature of the score's pointer: how freely durations vary; 0 takes the likeliest move."""
    min_frames: int = 5
    """Frames before an answer may end."""

    def __post_init__(self) -> None:
        if not self.temperature or not self.top_k or not self.top_p:
            raise ValueError("temperature, top_k and top_p need at least one value each")
        if min(*self.temperature, self.plan_temperature, self.pace_temperature, 0.0) < 0:
            raise ValueError("a temperature is 0 or more")
        if min(self.top_k) < 0 or min(self.top_p) <= 0 or max(self.top_p) > 1:
            raise ValueError("top_k is 0 or more and top_p lies in (0, 1]")

    @classmethod
    def greedy(cls) -> Sampling:
        """Always the likeliest code and answer."""
        return cls(temperature=(0.0,), plan_temperature=0.0, pace_temperature=0.0)

    def at(self, level: int) -> tuple[float, int, float]:
        """Temperature, top_k and top_p of `level`."""
        last = (self.temperature, self.top_k, self.top_p)
        temperature, top_k, top_p = (values[min(level, len(values) - 1)] for values in last)
        return float(temperature), int(top_k), float(top_p)


def draw(logits: Tensor, uniform: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Classes int64 `[n]` from logits `[n, K]`, by inversion of one uniform number in [0, 1) per row."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    size = logits.shape[-1]
    best, index = logits.topk(min(top_k, size) if top_k else size, dim=-1)
    total = torch.softmax(best.float() / temperature, dim=-1).cumsum(dim=-1)
    # A class stays while the sum before it is short of top_p; the first always stays.
    kept = torch.searchsorted(total, total.new_full((total.shape[0], 1), top_p)).clamp_max(total.shape[1] - 1)
    target = uniform[:, None] * total.gather(1, kept)
    chosen = torch.searchsorted(total, target, right=True).minimum(kept)
    return index.gather(1, chosen)[:, 0]


def uniforms(seed: int, frames: int, levels: int) -> Tensor:
    """The uniform numbers of one answer, `[frames, levels]`, by its seed (Philox, a counter-based generator)."""
    generator = np.random.Generator(np.random.Philox(key=seed % 2**64))
    return torch.from_numpy(generator.random((frames, levels), dtype=np.float32))
