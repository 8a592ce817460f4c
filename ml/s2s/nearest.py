"""Edit distances of one phone sequence to many known ones, a machine word per sequence.

Bit-parallel dynamic programming (Myers 1999, in Hyyrö's form of 2003 for whole sequences): a column of the table is two
words of bits, so a heard phone costs some twenty word operations for all sequences together. Of what is said it is
what takes longest between the end of a question and its answer, and rows of the table took 20 times as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST = 64
"""Phones of a known sequence that fit into a word."""
_ONE = np.uint64(1)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no power loses a bit


class KnownSequences:
    """Known sequences, ready to be compared with."""

    def __init__(self, table: NDArray[np.uint8], pad: int, symbols: int) -> None:
        """`table` [N, width] of symbols below `symbols`, each row filled up with `pad`. Raises ValueError."""
        if table.shape[1] > LONGEST:
            raise ValueError(f"sequences of up to {table.shape[1]} symbols do not fit into {LONGEST} bits")
        self.lengths = (table != pad).sum(axis=1)
        said = np.where(table == pad, 0, table.astype(np.uint64) + np.uint64(1))
        self._powers = _MULTIPLIER ** np.arange(LONGEST, dtype=np.uint64)  # wraps, as products do
        keys = (said * self._powers[: table.shape[1]]).sum(axis=1, dtype=np.uint64)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        # Symbol by symbol, so that what one heard phone needs lies together; one more for phones that none has.
        self._places = np.zeros((symbols + 1, len(table)), np.uint64)
        for place in range(table.shape[1]):
            rows = np.flatnonzero(place < self.lengths)
            self._places[table[rows, place], rows] |= _ONE << np.uint64(place)

    def same(self, heard: list[int]) -> NDArray[np.int64]:
        """The sequences that are exactly what was heard (by a hash of 64 bits)."""
        if len(heard) > LONGEST:
            return np.zeros(0, np.int64)
        said = np.array(heard, np.uint64) + np.uint64(1)
        key = (said * self._powers[: len(said)]).sum(dtype=np.uint64)
        first, last = np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")
        return np.asarray(self._order[first:last])

    def distances(self, heard: list[int], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Levenshtein distance of `heard` to the sequences `rows`."""
        lengths = self.lengths[rows]
        last = np.maximum(lengths - 1, 0).astype(np.uint64)
        score = lengths.astype(np.int64)
        places = {symbol: self._places[min(symbol, len(self._places) - 1)][rows] for symbol in set(heard)}
        more = np.full(len(rows), ~np.uint64(0))
        less = np.zeros(len(rows), np.uint64)
        for symbol in heard:
            equal = places[symbol]
            across = (((equal & more) + more) ^ more) | equal
            up = less | ~(across | more)
            down = more & across
            score += ((up >> last) & _ONE).astype(np.int64)
            score -= ((down >> last) & _ONE).astype(np.int64)
            up = (up << _ONE) | _ONE
            steady = equal | less
            more = (down << _ONE) | ~(steady | up)
            less = up & steady
        return np.where(lengths == 0, len(heard), score)
