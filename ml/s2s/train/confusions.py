"""How an encoder mishears phones: counted on clips whose phones are known, then done to what nobody has said yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def aligned(true: Sequence[int], heard: Sequence[int]) -> list[tuple[int, int]]:
    """(true phone, heard phone) along a cheapest edit path; -1 for a phone that was lost or put in."""
    columns = np.asarray(heard, np.int64)
    places = np.arange(len(heard) + 1)
    costs = [places.copy()]
    for number, phone in enumerate(true, start=1):
        best = np.empty_like(places)
        best[0] = number
        np.minimum(costs[-1][:-1] + (columns != phone), costs[-1][1:] + 1, out=best[1:])
        costs.append(np.minimum.accumulate(best - places) + places)
    path: list[tuple[int, int]] = []
    row, column = len(true), len(heard)
    while row or column:
        here = costs[row][column]
        if row and column and here == costs[row - 1][column - 1] + (true[row - 1] != heard[column - 1]):
            row, column = row - 1, column - 1
            path.append((true[row], heard[column]))
        elif row and here == costs[row - 1][column] + 1:
            row -= 1
            path.append((true[row], -1))
        else:
            column -= 1
            path.append((-1, heard[column]))
    return path[::-1]


class Confusions:
    """Chances of each phone to be heard as each other, to be lost, and of phones to be put in."""

    def __init__(self, symbols: int, pairs: Iterable[tuple[Sequence[int], Sequence[int]]], prior: float = 2.0) -> None:
        """Count (true phones, heard phones); `prior` counts are spread over everything that was never seen."""
        self.symbols = symbols
        counts = np.full((symbols, symbols + 1), prior / symbols)
        counts[np.arange(symbols), np.arange(symbols)] += prior * 4
        put_in = np.full(symbols, prior / symbols)
        phones = 1.0
        for true, heard in pairs:
            for said, got in aligned(true, heard):
                if said < 0:
                    put_in[got] += 1
                else:
                    counts[said, got] += 1  # -1 is the last column: lost
                    phones += 1
        self.chances: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        self.insertion = float(put_in.sum() / phones)
        self.inserted: NDArray[np.float64] = put_in / put_in.sum()
        self.error = float(1.0 - (counts.diagonal().sum() / counts.sum()) + self.insertion)
        """Phone error rate."""

    def mishear(self, phones: Sequence[int], strength: float, rng: np.random.Generator) -> list[int]:
        """`phones` as they may be heard; `strength` 1 makes as many errors as were counted, 0 none."""
        said = np.asarray(phones, np.int64)
        if not len(said) or strength <= 0:
            return said.tolist()
        chances = self.chances[said] * strength
        rows = np.arange(len(said))
        chances[rows, said] = 0.0
        chances[rows, said] = np.maximum(0.0, 1.0 - chances.sum(axis=1))
        reached = chances.cumsum(axis=1)
        heard = (reached < rng.random((len(said), 1)) * reached[:, -1:]).sum(axis=1)
        extra = rng.random(len(said)) < self.insertion * strength
        put_in = rng.choice(self.symbols, len(said), p=self.inserted)
        found: list[int] = []
        for phone, more, other in zip(heard.tolist(), extra.tolist(), put_in.tolist(), strict=True):
            if phone < self.symbols:
                found.append(phone)
            if more:
                found.append(other)
        return found
