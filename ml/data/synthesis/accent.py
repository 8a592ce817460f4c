"""Rural Telugu accent on the phones of a text: gemination and retroflexion that grow with ``strength``."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

from ml.data.synthesis.g2p import Sentence, Word
from ml.data.synthesis.phones import is_vowel

_RETROFLEX = {"n": "N", "l": "L", "d": "D", "t": "T"}
_SHARE = {"n": 0.5, "l": 0.75, "d": 0.3, "t": 0.15}
_DOUBLES = frozenset(("k", "g", "c", "T", "t", "d", "p", "b", "l", "m", "n", "L"))


def accented(sentence: Sentence, strength: float) -> Sentence:
    """The same words as a rural speaker says them; 0 changes nothing, 1 changes most words.

    Which sounds change is decided by the word itself, so that one speaker always says a word alike and a stronger
    accent changes all that a weaker one does.
    """
    if strength <= 0.01:
        return sentence
    return replace(sentence, words=tuple(_accented(word, strength) for word in sentence.words))


def _accented(word: Word, strength: float) -> Word:
    phones = list(word.phones)
    result: list[str] = []
    for at, phone in enumerate(phones):
        before = phones[at - 1] if at else ""
        after = phones[at + 1] if at + 1 < len(phones) else ""
        between_vowels = bool(before) and is_vowel(before) and bool(after) and is_vowel(after)
        dice = crc32(f"{at} {' '.join(phones)}".encode()) / 2**32
        if between_vowels and phone in _RETROFLEX and dice < strength * _SHARE[phone]:
            result.append(_RETROFLEX[phone])
        elif (
            between_vowels and phone in _DOUBLES and before in ("a", "i", "u", "e", "o") and dice > 1.0 - 0.4 * strength
        ):
            result.extend((phone, phone))
        else:
            result.append(phone)
    return Word(tuple(result), word.pause)
