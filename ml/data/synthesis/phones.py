"""One phone inventory for all engines, and for the recogniser and the codec's phonetic head that learn from them.

The order is frozen: the index of a symbol in ``PHONES`` is its class id in trained weights. Symbols are ASCII; capitals
are retroflex (``T D N L S``), ``c j`` palatal affricates, a trailing ``h`` is aspiration (``sh`` alone is the palatal
sibilant). A geminate is two equal phones in a row, so that its length is the sum of both.
"""

from __future__ import annotations

from typing import NamedTuple

SILENCE = "sil"
VOWELS = ("a", "aa", "i", "ii", "u", "uu", "e", "ee", "ai", "o", "oo", "au")
CONSONANTS = (
    *("k", "kh", "g", "gh", "ng"),
    *("c", "ch", "j", "jh", "ny"),
    *("T", "Th", "D", "Dh", "N"),
    *("t", "th", "d", "dh", "n"),
    *("p", "b", "bh", "m", "f"),
    *("y", "r", "l", "v", "L"),
    *("s", "sh", "S", "h"),
)
NON_SPEECH = (SILENCE, "breath", "laugh")
"""Pauses, audible breath and laughter: no part of the words, `phones_of` never gives them."""

PHONES: tuple[str, ...] = (SILENCE, *VOWELS, *CONSONANTS, "breath", "laugh")
"""The inventory, 49 symbols; the index is the class id. Never reorder, only append."""
PHONE_ID: dict[str, int] = {symbol: index for index, symbol in enumerate(PHONES)}

LONG_VOWELS = frozenset(("aa", "ii", "uu", "ee", "oo", "ai", "au"))
NASALS = frozenset(("ng", "ny", "N", "n", "m"))
STOPS = frozenset(s for s in CONSONANTS if s[0] in "kgcjTDtdpb")
VOICELESS = frozenset(("k", "kh", "c", "ch", "T", "Th", "t", "th", "p", "f", "s", "sh", "S", "h", "sil", "breath"))
RETROFLEX = frozenset(("T", "Th", "D", "Dh", "N", "L", "S"))


class TimedPhone(NamedTuple):
    """One phone as it sounds; ``start`` and ``end`` in seconds from the clip's first sample."""

    symbol: str
    start: float
    end: float


def is_vowel(symbol: str) -> bool:
    """True for the twelve vowels."""
    return symbol in _VOWEL_SET


_VOWEL_SET = frozenset(VOWELS)
