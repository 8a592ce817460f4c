"""What is likely to be said: probabilities add up, known phrasings win over mishearings, clear speech is believed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.s2s import phone_lm
from ml.s2s.acts import NO_PHONE, collapsed
from ml.s2s.phone_lm import DISCOUNT, ORDER, RARE, PhoneLM, Readings, readings

SYMBOLS = 6
KNOWN = ([1, 2, 3, 4, 5], [1, 2, 3, 5, 5], [3, 3, 1], [5, 4, 3, 2, 1, 2, 3, 4])


def model_of(*phrasings: list[int]) -> PhoneLM:
    table = np.full((len(phrasings), 10), NO_PHONE, np.uint8)
    for row, phones in enumerate(phrasings):
        table[row, : len(phones)] = phones
    return PhoneLM(table, NO_PHONE, SYMBOLS)


def posterior(path: list[int], sure: float = 0.99, **doubts: dict[int, float]) -> torch.Tensor:
    """Log-probabilities `[steps, SYMBOLS + 1]` of a path, and at some steps (`at3={…}`) of other classes."""
    rows = torch.full((len(path), SYMBOLS + 1), (1.0 - sure) / SYMBOLS)
    for step, label in enumerate(path):
        rows[step, label] = sure
        for other, share in doubts.get(f"at{step}", {}).items():
            rows[step, other] = share
    return (rows / rows.sum(dim=1, keepdim=True)).log()


def best(heard: Readings) -> list[int]:
    return list(heard[0][0])


@given(st.lists(st.integers(0, SYMBOLS - 1), max_size=8))
def test_probabilities_of_what_follows_add_up(said: list[int]) -> None:
    model = model_of(*KNOWN)
    context = model.start
    for phone in said:
        context = model.then(context, phone)
    assert math.isclose(sum(math.exp(model.log_prob(context, x)) for x in range(SYMBOLS)), 1.0, abs_tol=1e-6)


def by_hand(said: list[list[int]], before: list[int], phone: int) -> float:
    """The share of `phone` after `before`, by counting every n-gram."""
    share = 1.0 / SYMBOLS
    for order in range(1, ORDER + 1):
        counts: Counter[tuple[int, ...]] = Counter()
        for phones in said:
            marked = [-1, *phones]
            counts.update(tuple(marked[i : i + order]) for i in range(len(marked) - order + 1))
        del counts[(-1,)]
        context = tuple([-1, *before][-(order - 1) :]) if order > 1 else ()
        if len(context) < order - 1:
            break
        after = [n for gram, n in counts.items() if gram[:-1] == context]
        if not after:
            break
        kept = [n for n in after if n > 1 or order < RARE]
        own = counts[(*context, phone)]
        rest = 1.0 - sum((n - DISCOUNT) / sum(after) for n in kept)
        share = ((own - DISCOUNT) / sum(after) if own in kept else 0.0) + rest * share
    return math.log(share)


phonings = st.lists(st.integers(0, 2), max_size=10)


@settings(max_examples=200)
@given(st.lists(phonings, max_size=8), phonings, st.integers(0, 2))
def test_it_counts_as_one_would_by_hand(said: list[list[int]], before: list[int], phone: int) -> None:
    model = model_of(*said)
    context = model.start
    for heard in before:
        context = model.then(context, heard)
    assert math.isclose(model.log_prob(context, phone), by_hand(said, before, phone), rel_tol=1e-9)


def test_what_is_often_said_is_likelier() -> None:
    model = model_of(*KNOWN)
    context = model.then(model.then(model.start, 1), 2)
    assert model.log_prob(context, 3) > model.log_prob(context, 4) + 1.0
    assert model_of().log_prob(model.start, 2) == math.log(1 / SYMBOLS), "knowing nothing, all are alike"


def test_what_is_kept_ready_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_lm, "REMEMBERED", 5)
    model, fresh = model_of(*KNOWN), model_of(*KNOWN)
    contexts = [model.start, model.then(model.start, 1), model.then(model.then(model.start, 1), 2)]
    told = [model.log_prob(context, phone) for context in contexts for phone in range(SYMBOLS)]
    assert len(model._memo) <= 5
    monkeypatch.undo()
    assert told == [fresh.log_prob(context, phone) for context in contexts for phone in range(SYMBOLS)]


def test_a_doubtful_phone_becomes_what_people_say() -> None:
    blank = SYMBOLS
    path = [1, blank, 2, blank, 4, blank, 4, blank, 5]
    doubtful = posterior(path, at4={4: 0.5, 3: 0.45})
    assert collapsed(doubtful.argmax(-1).tolist(), blank) == [1, 2, 4, 4, 5]
    assert best(readings(doubtful, model_of(*KNOWN))) == [1, 2, 3, 4, 5]
    assert best(readings(posterior(path), model_of(*KNOWN))) == [1, 2, 4, 4, 5], "what is clear stays"


def test_what_it_may_have_been_is_told_with_its_share() -> None:
    blank = SYMBOLS
    path = [1, blank, 2, blank, 4, blank, 4, blank, 5]
    heard = readings(posterior(path, at4={4: 0.5, 3: 0.45}), model_of(*KNOWN))
    assert [1, 2, 4, 4, 5] in [phones for phones, _ in heard[1:]]
    shares = [share for _, share in heard]
    assert shares == sorted(shares, reverse=True)
    assert math.isclose(sum(shares), 1.0)
    clear = readings(posterior(path, 0.99999), model_of(*KNOWN))
    assert clear[0][1] > shares[0], "the clearer, the surer"


@settings(max_examples=30)
@given(st.lists(st.integers(0, SYMBOLS), max_size=40))
def test_without_doubt_it_is_the_best_path(path: list[int]) -> None:
    """Geminates, which are two phones with a blank between them, stay two."""
    sure = posterior(path, 0.9999) if path else torch.zeros(0, SYMBOLS + 1)
    assert best(readings(sure, model_of(*KNOWN))) == collapsed(path, SYMBOLS)
