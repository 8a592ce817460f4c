"""What a recogniser's phones say about a turn: is this only a backchannel, does that end like a sentence?

All of it takes phones as `ml.recogniser` gives them; neither knows the recogniser.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.data.synthesis.g2p import phones_of
from ml.data.synthesis.phones import PHONE_ID, is_vowel

Sort = Literal["nothing", "backchannel", "words"]

BACKCHANNELS = ("ఆఁ", "ఊఁ", "ఊహూ", "హాఁ", "ఓహో", "ఆహా", "అవును", "సరే", "అలాగే", "మ్మ్", "నిజమా", "అవునా", "హ్మ్")
_FEWEST = 3
"""Phones below which nothing can be told apart from a backchannel."""
_ALIKE = 0.34
"""Share of phones that may be misheard."""
_SOFT = frozenset(("h", "v", "m", "n", "y"))
"""Consonants that a long vowel is easily heard with."""


def sort_of(phones: Sequence[str]) -> Sort:
    """What was said over an answer so far: no word, what may become a backchannel, or words that are none."""
    if not phones:
        return "nothing"
    if len(phones) < _FEWEST or all(is_vowel(phone) or phone in _SOFT for phone in phones):
        return "backchannel"
    return "backchannel" if _share_unlike(phones) <= _ALIKE else "words"


def _share_unlike(phones: Sequence[str]) -> float:
    """Phones to change until `phones` begin a backchannel, said once or twice, over their number."""
    heard = [PHONE_ID[phone] for phone in phones]
    return min(_to_a_prefix(heard, known) for known in _KNOWN) / len(heard)


def _to_a_prefix(heard: list[int], known: list[int]) -> int:
    row = list(range(len(known) + 1))
    for number, symbol in enumerate(heard, start=1):
        above, row = row, [number]
        for place, other in enumerate(known, start=1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (symbol != other)))
    return min(row)


_KNOWN = [[PHONE_ID[p] for p in phones_of(word)] * times for word in BACKCHANNELS for times in (1, 2)]

_ORDERS = 6
_BUCKETS = 1 << 18
_PRIOR = 10.0
"""Occurrences that a shorter context counts for beside a longer one."""
_INNER = 0.2
"""What a place within a word counts beside one between words: few pause there."""
_VOWELS = ("a aa", "i ii", "u uu", "e ee ai", "o oo au")
_CONSONANTS = ("k kh g gh", "c ch j jh T Th D Dh t th d dh", "p b bh", "ng ny N n m", "l r L", "s S sh f", "y v h")
_MARK = len(PHONE_ID)


def _classes(*groups: str) -> dict[str, int]:
    """Numbers of phones; those of a group have one."""
    first = {phone: group.split()[0] for group in groups for phone in group.split()}
    return {phone: PHONE_ID[first.get(phone, phone)] for phone in PHONE_ID}


class Endings:
    """How often sentences end after the last phones that were heard, with back-off from six of them to one.

    Telugu puts the verb last: what a sentence ends with is seldom what it pauses at. A recogniser mishears, lengths of
    vowels first and then consonants for others spoken at the same place: two tables take what is alike for the same.
    """

    def __init__(self, sentences: Iterable[Sequence[Sequence[str]]]) -> None:
        """`sentences` are sequences of words, words sequences of phones; none is empty."""
        phones: list[str | None] = []
        weights: list[float] = []
        for words in sentences:
            phones += [None] * _ORDERS
            weights += [0.0] * _ORDERS
            for word in words:
                phones += word
                weights += [_INNER] * (len(word) - 1) + [1.0]
            weights[-1] = -1.0
        weight = np.array(weights, np.float32)
        self._tables = [_Table(c, phones, weight) for c in (_classes(*_VOWELS), _classes(*_VOWELS, *_CONSONANTS))]

    def probability(self, phones: Sequence[str]) -> float:
        """0 (goes on) to 1 (ends); 0.5 without a phone."""
        if not phones:
            return 0.5
        return sum(table.probability(phones) for table in self._tables) / len(self._tables)


class _Table:
    """Counts with one way of taking phones for alike."""

    def __init__(self, classes: dict[str, int], phones: Sequence[str | None], weight: npt.NDArray[np.float32]) -> None:
        self._classes = classes
        codes = _contexts([_MARK if phone is None else classes[phone] for phone in phones])
        ends, others = (np.zeros(_BUCKETS, np.float32) for _ in range(2))
        for order in range(_ORDERS):
            ends += np.bincount(codes[:, order], weight == -1.0, _BUCKETS).astype(np.float32)
            others += np.bincount(codes[:, order], weight.clip(min=0.0), _BUCKETS).astype(np.float32)
        # Both kinds count the same in all: how often people pause is for the director to know.
        total = max(1.0, float(others.sum())) / max(1.0, float(ends.sum()))
        self._ends, self._all = ends * total, ends * total + others

    def probability(self, phones: Sequence[str]) -> float:
        found = 0.5
        for code in _contexts([self._classes[phone] for phone in phones[-_ORDERS:]])[-1][: len(phones)]:
            found = (float(self._ends[code]) + _PRIOR * found) / (float(self._all[code]) + _PRIOR)
        return found


_SHARPNESS, _WORDS_WEIGHT = 1.5, 0.9


def finished_by(prosody: float, words: float) -> float:
    """How finished a phrase is (0 to 1) by its sound and by its words together."""
    score = _SHARPNESS * (_logit(prosody) + _WORDS_WEIGHT * _logit(words))
    return 1.0 / (1.0 + math.exp(-score))


def _logit(probability: float) -> float:
    kept = min(0.99, max(0.01, probability))
    return math.log(kept / (1.0 - kept))


def _contexts(phones: Sequence[int]) -> npt.NDArray[np.int64]:
    """Buckets [n, 6] of the one to six phones up to each place; before the first phone there are marks."""
    padded = np.concatenate([np.full(_ORDERS, _MARK, np.int64), np.asarray(phones, np.int64)])
    codes = np.zeros((len(phones), _ORDERS), np.int64)
    code = np.full(len(phones), 17, np.int64)
    for order in range(_ORDERS):
        code = (code * 1_000_003 + padded[_ORDERS - order : len(padded) - order] * 97 + 7) & ((1 << 40) - 1)
        codes[:, order] = (code ^ (code >> 19)) % _BUCKETS
    return codes
