"""Batches of items of like length under a budget, drawn by (seed, step): a resumed run repeats them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Buckets:
    """Epochs of shuffled batches; a batch's rows times its longest item stay within `budget`."""

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64], budget: int, seed: int) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        if len(self.lengths) == 0:
            raise ValueError("there is nothing to train on: no items")
        self.budget = budget
        self.seed = seed
        self._first = [0]  # number of the first batch of each epoch
        self._epoch = -1
        self._batches: list[NDArray[np.int64]] = []

    def _make(self, epoch: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng((self.seed, epoch))
        # lengths are jittered so that an item does not meet the same companions in every epoch
        order = np.argsort(self.lengths * rng.uniform(0.85, 1.15, len(self.lengths)), kind="stable")
        batches: list[NDArray[np.int64]] = []
        held: list[int] = []
        longest = 0
        for item in order:
            longest = max(longest, int(self.lengths[item]))
            if held and (len(held) + 1) * longest > self.budget:
                batches.append(np.array(held))
                held, longest = [], int(self.lengths[item])
            held.append(int(item))
        batches.append(np.array(held))
        return [batches[i] for i in rng.permutation(len(batches))]

    def _load(self, epoch: int) -> None:
        while len(self._first) <= epoch + 1:
            self._first.append(self._first[-1] + len(self._make(len(self._first) - 1)))
        self._batches, self._epoch = self._make(epoch), epoch

    def batch(self, number: int) -> NDArray[np.int64]:
        """Items of batch `number`, counted through all epochs."""
        if not (self._epoch >= 0 and self._first[self._epoch] <= number < self._first[self._epoch + 1]):
            epoch = 0
            while True:
                if len(self._first) <= epoch + 1:
                    self._first.append(self._first[-1] + len(self._make(epoch)))
                if number < self._first[epoch + 1]:
                    break
                epoch += 1
            self._load(epoch)
        return self._batches[number - self._first[self._epoch]]

    @property
    def epoch_batches(self) -> int:
        """Batches of the first epoch (others differ by a few)."""
        self.batch(0)
        return self._first[1]
