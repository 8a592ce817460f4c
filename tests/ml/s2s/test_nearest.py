"""Distances by bits are those of the table of edit distances."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.recogniser.decode import edit_distances
from ml.s2s.nearest import LONGEST, KnownSequences

PAD, SYMBOLS = 255, 6
sequences = st.lists(st.integers(0, SYMBOLS - 1), max_size=LONGEST)


@given(st.lists(sequences, min_size=1, max_size=8), st.lists(st.integers(0, SYMBOLS), max_size=90))
def test_they_equal_the_edit_distances(known: list[list[int]], heard: list[int]) -> None:
    table = np.full((len(known), LONGEST), PAD, np.uint8)
    for row, sequence in enumerate(known):
        table[row, : len(sequence)] = sequence
    rows = np.arange(len(known))[::-1]
    found = KnownSequences(table, PAD, SYMBOLS).distances(heard, rows)
    assert found.tolist() == edit_distances(heard, known)[::-1].tolist()


@given(st.lists(sequences, min_size=1, max_size=8), st.lists(st.integers(0, SYMBOLS - 1), max_size=90))
def test_what_is_known_as_it_is_heard_is_found(known: list[list[int]], heard: list[int]) -> None:
    table = np.full((len(known), LONGEST), PAD, np.uint8)
    for row, sequence in enumerate(known):
        table[row, : len(sequence)] = sequence
    kept = KnownSequences(table, PAD, SYMBOLS)
    for said in (heard, *known):
        assert sorted(kept.same(said).tolist()) == [row for row, sequence in enumerate(known) if sequence == said]
