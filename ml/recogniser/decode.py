"""From frame-wise probabilities to phones: the best path, and how far two phone sequences are apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.data.synthesis.phones import NON_SPEECH, PHONE_ID

SILENT = frozenset(PHONE_ID[s] for s in NON_SPEECH)
"""Classes that are no part of the words."""


def collapse(path: Sequence[int], blank: int, previous: int | None = None) -> list[int]:
    """Class ids of a best path without repeats and blanks; `previous` is the class of the frame before the path."""
    found: list[int] = []
    for label in path:
        if label != previous and label != blank:
            found.append(label)
        previous = label
    return found


def spoken(ids: Sequence[int]) -> list[int]:
    """Class ids without pauses, breath and laughter."""
    return [i for i in ids if i not in SILENT]


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Levenshtein distance."""
    return int(edit_distances(a, [b])[0])


def edit_distances(query: Sequence[int], references: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Levenshtein distance of `query` to every reference, all at once (one numpy row per query symbol)."""
    if not references:
        return np.zeros(0, np.int64)
    lengths = np.array([len(r) for r in references])
    width = int(lengths.max(initial=0))
    padded = np.full((len(references), width), -1, np.int64)
    for row, reference in enumerate(references):
        padded[row, : len(reference)] = reference
    return padded_distances(query, padded, lengths)


def padded_distances(
    query: Sequence[int], padded: NDArray[np.signedinteger], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """As `edit_distances`, for references `[N, width]` padded with -1 and their `lengths` [N]."""
    count, width = padded.shape
    positions = np.arange(width + 1)
    row = np.broadcast_to(positions, (count, width + 1)).copy()
    for number, symbol in enumerate(query, start=1):
        best = np.empty_like(row)
        best[:, 0] = number
        np.minimum(row[:, :-1] + (padded != symbol), row[:, 1:] + 1, out=best[:, 1:])
        # an insertion costs 1 a place: the running minimum of (cost - place) does the chain of them in one pass
        row = np.minimum.accumulate(best - positions, axis=1) + positions
    return row[np.arange(count), lengths]
