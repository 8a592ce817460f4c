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
_ORDERS = tuple((order << (_BITS * ORDER), (1 << (_BITS * (order - 1))) - 1) for order in range(1, ORDER + 1))
"""Of n-grams of each order: what marks them in the tables, and the mask of their context."""
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
        share, rest_of, share_of = 1.0 / self.symbols, self._rest.get, self._grams.get
        for mark, mask in _ORDERS:
            after = context & mask
            rest = rest_of(after | mark)
            if rest is None:
                break
            share = share_of((after << _BITS) | phone | mark, 0.0) + rest * share
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
    prefixes = _Prefixes(model, weight, bonus)
    beams: list[_Beam] = [(0, 0.0, _NEVER, 0.0)]
    for likely, named in zip(values.tolist(), classes.tolist(), strict=True):
        tried = [(label, value) for label, value in zip(named, likely, strict=True) if value > FLOOR]
        if tried == [(blank, likely[0])]:
            beams = [(prefix, both + likely[0], _NEVER, both + likely[0]) for prefix, _, _, both in beams]
        else:
            beams = _step(beams, tried, blank, prefixes)
    ranked = sorted(((both + prefixes.priors[prefix], prefix) for prefix, _, _, both in beams), reverse=True)
    shares = [math.exp((score - ranked[0][0]) / SPREAD) for score, _ in ranked]
    return [(prefixes.phones(prefix), share / sum(shares)) for (_, prefix), share in zip(ranked, shares, strict=True)]


_Beam = tuple[int, float, float, float]
"""A prefix, its log-probability of ending in a blank, in the last phone, and either way."""


class _Prefixes:
    """Phones said so far, as a tree: a prefix is a number, so that comparing two does not go through their phones."""

    def __init__(self, model: PhoneLM, weight: float, bonus: float) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self.last, self.priors = [-1], [0.0]
        """Of each prefix: its last phone, and what the n-gram model and the bonus make of it."""
        self.longer: dict[int, int] = {}
        """prefix << _BITS | phone -> the prefix with that phone behind it."""
        self._before, self._contexts = [0], [model.start]

    def with_phone(self, prefix: int, phone: int) -> int:
        """The number of `prefix` with `phone` behind it, which `longer` has not yet."""
        number = self.longer[prefix << _BITS | phone] = len(self.last)
        context = self._contexts[prefix]
        self.last.append(phone)
        self.priors.append(self.priors[prefix] + self.weight * self.model.log_prob(context, phone) + self.bonus)
        self._before.append(prefix)
        self._contexts.append(self.model.then(context, phone))
        return number

    def phones(self, prefix: int) -> list[int]:
        """What was said."""
        said = []
        while prefix:
            said.append(self.last[prefix])
            prefix = self._before[prefix]
        return said[::-1]


def _step(beams: Sequence[_Beam], tried: Sequence[tuple[int, float]], blank: int, prefixes: _Prefixes) -> list[_Beam]:
    """One step further."""
    last, priors, longer = prefixes.last, prefixes.priors, prefixes.longer
    pausing: dict[int, float] = {}
    speaking: dict[int, float] = {}
    for prefix, paused, spoke, both in beams:
        for label, value in tried:
            if label == blank:
                pausing[prefix] = both + value  # no other beam comes to this prefix by a blank
                continue
            before = both
            if label == last[prefix]:  # held on; or, after a blank, said again
                old = speaking.get(prefix)
                speaking[prefix] = spoke + value if old is None else _either(old, spoke + value)
                if paused < spoke - 50.0:
                    continue
                before = paused
            target = longer.get(prefix << _BITS | label)
            if target is None:
                target = prefixes.with_phone(prefix, label)
            old = speaking.get(target)
            speaking[target] = before + value if old is None else _either(old, before + value)
    found = []
    for prefix, spoke in speaking.items():
        paused = pausing.pop(prefix, _NEVER)
        both = _either(paused, spoke)
        found.append((both + priors[prefix], prefix, paused, spoke, both))
    found += [(paused + priors[prefix], prefix, paused, _NEVER, paused) for prefix, paused in pausing.items()]
    if len(found) > WIDTH:
        found.sort(reverse=True)
        del found[WIDTH:]
    return [beam[1:] for beam in found]


def _either(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b - a < -30.0 else a + math.log1p(math.exp(b - a))
