"""Which phones are likely after which: an n-gram model of known phrasings, and the CTC search that listens to it.

What was heard badly is mostly what people say anyway: a prefix beam search (Hannun et al. 2014) over the phone
posterior, with an interpolated n-gram model (absolute discounting, Ney et al. 1994) of the phrasings that the choice of
answers knows, mishears a quarter less than the best path. The model is made from the table of phrasings when first
used, so that nothing more is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ORDER = 6
"""Phones of the longest n-gram."""
DISCOUNT = 0.75
"""What is taken from each count for what was never seen."""
RARE = 4
"""N-grams of this many phones and more count from their second occurrence on only: most are heard once."""
WEIGHT, BONUS = 0.5, 1.2
"""Of the n-gram model beside the posterior, and what each phone is given, lest short readings win. Fitted on
validation questions."""
WIDTH, BRANCHES, FLOOR = 8, 5, -6.0
"""Readings kept per step; classes tried per step, none with a log-probability under the floor."""
SPREAD = 4.0
"""Log-probabilities of readings are divided by this before they are compared: the posterior is too sure of itself."""
REMEMBERED = 30_000
"""Log-probabilities that are kept ready, some 5 MB."""
_BITS, _START, _END = 6, 63, 62
_NEVER = -1e9


class PhoneLM:
    """Log-probabilities of the next phone after up to five others."""

    def __init__(self, phrasings: NDArray[np.uint8], none: int, symbols: int) -> None:
        """`phrasings` `[N, L]` of phone ids under `symbols` (at most 62), padded with `none`."""
        rows = np.full((len(phrasings), 1 + phrasings.shape[1] + ORDER - 1), _END, np.int64)
        rows[:, 0] = _START
        rows[:, 1 : 1 + phrasings.shape[1]] = np.where(phrasings == none, _END, phrasings)
        self.symbols = symbols
        self._grams: dict[int, float] = {}
        self._rest: dict[int, float] = {}
        self._memo: dict[int, float] = {}
        ends = rows.shape[1] - ORDER + 1
        longest = np.zeros((len(rows), ends), np.int64)
        for place in range(ORDER):
            longest = (longest << _BITS) | rows[:, place : place + ends]
        # Sorted once: the shorter n-grams that they begin with are sorted as they are.
        grams, counts = np.unique(longest, return_counts=True)
        for order in range(1, ORDER + 1):
            self._count(grams >> (_BITS * (ORDER - order)), counts, order)

    def _count(self, grams: NDArray[np.int64], counts: NDArray[np.int64], order: int) -> None:
        """Take in n-grams of one order, sorted but not each once."""
        last = grams & ((1 << _BITS) - 1)
        there = (last != _END) & (last != _START)
        if not there.any():
            return
        grams, counts = grams[there], counts[there]
        first = np.flatnonzero(np.diff(grams, prepend=-1))
        grams, counts = grams[first], np.add.reduceat(counts, first)
        # Sorted by context first, so that a context's n-grams are neighbours.
        contexts = grams >> _BITS
        new = np.diff(contexts, prepend=-1) != 0
        contexts, place = contexts[new], np.cumsum(new) - 1
        total = np.bincount(place, counts)
        shares = (counts - DISCOUNT) / total[place]
        kept = counts > 1 if order >= RARE else np.ones(len(counts), bool)
        spent = np.bincount(place[kept], shares[kept], len(contexts))
        # A context after which nothing counts leaves all to the shorter ones, and so do all that are longer.
        used = spent > 0.0
        mark = order << (_BITS * ORDER)
        self._grams.update(zip((grams[kept] | mark).tolist(), shares[kept].tolist(), strict=True))
        self._rest.update(zip((contexts[used] | mark).tolist(), (1.0 - spent[used]).tolist(), strict=True))

    def log_prob(self, context: int, phone: int) -> float:
        """Of `phone` after `context` (`start`, `then`)."""
        key = (context << _BITS) | phone
        known = self._memo.get(key)
        if known is not None:
            return known
        share = 1.0 / self.symbols
        for order in range(1, ORDER + 1):
            mark = order << (_BITS * ORDER)
            after = context & ((1 << (_BITS * (order - 1))) - 1)
            rest = self._rest.get(after | mark)
            if rest is None:
                break
            share = self._grams.get((after << _BITS) | phone | mark, 0.0) + rest * share
        if len(self._memo) >= REMEMBERED:
            self._memo.clear()
        self._memo[key] = found = math.log(share)
        return found

    @property
    def start(self) -> int:
        """The context before the first phone."""
        return _START

    @staticmethod
    def then(context: int, phone: int) -> int:
        """The context after one more phone."""
        return ((context << _BITS) | phone) & ((1 << (_BITS * (ORDER - 1))) - 1)


Readings = Sequence[tuple[Sequence[int], float]]
"""What a question may have been: phones and their share, the likeliest first; the shares sum to 1."""


def sure(phones: Sequence[int]) -> Readings:
    """The one reading of a question that can be read in one way only."""
    return [(phones, 1.0)]


def readings(log_probs: Tensor, model: PhoneLM, weight: float = WEIGHT, bonus: float = BONUS) -> Readings:
    """The likeliest phones of one question: CTC log-probabilities `[steps, symbols + 1]`, the blank last."""
    blank = log_probs.shape[1] - 1
    values, classes = log_probs.float().topk(min(BRANCHES, blank + 1), dim=1)
    beams: dict[tuple[int, ...], _Beam] = {(): (0.0, _NEVER, 0.0, model.start)}
    for likely, named in zip(values.tolist(), classes.tolist(), strict=True):
        tried = [(label, value) for label, value in zip(named, likely, strict=True) if value > FLOOR]
        if tried == [(blank, likely[0])]:
            beams = {
                said: (_either(paused, spoke) + likely[0], _NEVER, prior, context)
                for said, (paused, spoke, prior, context) in beams.items()
            }
            continue
        beams = _step(beams, tried, blank, model, weight, bonus)
    ranked = sorted(((_score(item), item[0]) for item in beams.items()), reverse=True)
    shares = [math.exp((score - ranked[0][0]) / SPREAD) for score, _ in ranked]
    return [(list(said), share / sum(shares)) for (_, said), share in zip(ranked, shares, strict=True)]


_Beam = tuple[float, float, float, int]
"""Log-probability of ending in a blank and in the last phone, the n-gram model's part, and its context."""


def _step(
    beams: dict[tuple[int, ...], _Beam],
    tried: Sequence[tuple[int, float]],
    blank: int,
    model: PhoneLM,
    weight: float,
    bonus: float,
) -> dict[tuple[int, ...], _Beam]:
    found: dict[tuple[int, ...], _Beam] = {}
    for said, (paused, spoke, prior, context) in beams.items():
        both = _either(paused, spoke)
        for label, value in tried:
            if label == blank:
                old = found.get(said, (_NEVER, _NEVER, prior, context))
                found[said] = (_either(old[0], both + value), old[1], prior, context)
                continue
            again = bool(said) and label == said[-1]
            if again:
                old = found.get(said, (_NEVER, _NEVER, prior, context))
                found[said] = (old[0], _either(old[1], spoke + value), prior, context)
                if paused < -50.0 + spoke:
                    continue
            longer = (*said, label)
            new = found.get(longer)
            if new is None:
                more = prior + weight * model.log_prob(context, label) + bonus
                new = (_NEVER, _NEVER, more, model.then(context, label))
            found[longer] = (new[0], _either(new[1], (paused if again else both) + value), new[2], new[3])
    if len(found) <= WIDTH:
        return found
    return dict(sorted(found.items(), key=_score, reverse=True)[:WIDTH])


def _score(item: tuple[tuple[int, ...], _Beam]) -> float:
    return _either(item[1][0], item[1][1]) + item[1][2]


def _either(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b - a < -30.0 else a + math.log1p(math.exp(b - a))
