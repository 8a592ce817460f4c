"""Questions made harder to hear while a model trains: coarser, masked in places, noisy.

Masks in time after SpecAugment (Park et al. 2019).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

_LONGEST = 6
"""Frames of one mask, 240 ms."""


class Hardship(Protocol):
    """The settings of a run that say how hard."""

    @property
    def fewer_levels(self) -> float: ...
    @property
    def mask_spans(self) -> int: ...
    @property
    def question_noise(self) -> float: ...


class Disguise(NamedTuple):
    """As `Encoder.forward` takes it."""

    levels: Tensor
    """Codebooks that are heard, int64 `[B]`."""
    keep: Tensor
    """What is not masked, bool `[B, T]`."""
    noise: Tensor
    """Deviation of the noise on the latents, `[B]`."""


def draw_disguise(
    rng: np.random.Generator, shape: tuple[int, int], levels: int, fewest: int, how: Hardship
) -> Disguise:
    """For a batch of `shape` (rows, frames) with `levels` codebooks, of which at least `fewest` are heard."""
    count, time = shape
    few = rng.random(count) < how.fewer_levels
    heard = np.where(few, rng.integers(fewest, levels + 1, count), levels)
    keep = np.ones((count, time), np.bool_)
    for row in range(count):
        for _ in range(int(rng.integers(0, how.mask_spans + 1))):
            start = int(rng.integers(0, time))
            keep[row, start : start + int(rng.integers(1, _LONGEST + 1))] = False
    noisy = (rng.random(count) < 0.5) * rng.uniform(0.0, how.question_noise, count)
    return Disguise(torch.from_numpy(heard), torch.from_numpy(keep), torch.from_numpy(noisy.astype(np.float32)))
