"""Telugu script to phones: letters, conjuncts, and the few rules by which speech departs from spelling."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ml.data.synthesis.normalise import normalise
from ml.data.synthesis.phones import NASALS, is_vowel

Break = Literal["", ",", ".", "?", "!", "…"]

_VOWELS = dict(zip("అఆఇఈఉఊఎఏఐఒఓఔ", ["a", "aa", "i", "ii", "u", "uu", "e", "ee", "ai", "o", "oo", "au"], strict=True))
_SIGNS = dict(zip("ాిీుూెేైొోౌ", ["aa", "i", "ii", "u", "uu", "e", "ee", "ai", "o", "oo", "au"], strict=True))
_R_VOWELS = {"ఋ": ("r", "u"), "ౠ": ("r", "uu"), "ఌ": ("l", "u"), "ౡ": ("l", "uu")}
_R_SIGNS = {"ృ": ("r", "u"), "ౄ": ("r", "uu"), "ౢ": ("l", "u"), "ౣ": ("l", "uu")}
_CONSONANTS = dict(
    zip(
        "కఖగఘఙచఛజఝఞటఠడఢణతథదధనపఫబభమయరఱలళఴవశషసహౘౙ",
        [
            "k",
            "kh",
            "g",
            "gh",
            "ng",
            "c",
            "ch",
            "j",
            "jh",
            "ny",
            "T",
            "Th",
            "D",
            "Dh",
            "N",
            "t",
            "th",
            "d",
            "dh",
            "n",
            "p",
            "f",
            "b",
            "bh",
            "m",
            "y",
            "r",
            "r",
            "l",
            "L",
            "L",
            "v",
            "sh",
            "S",
            "s",
            "h",
            "c",
            "j",
        ],
        strict=True,
    )
)
_VIRAMA, _ANUSVARA, _VISARGA = "్", "ం", "ః"
_HOMORGANIC = {"k": "ng", "g": "ng", "n": "ng", "c": "ny", "j": "ny", "T": "N", "D": "N", "t": "n", "d": "n"}


@dataclass(frozen=True)
class Word:
    """One word: its phones and the break after it (empty where speech runs on)."""

    phones: tuple[str, ...]
    pause: Break = ""

    @property
    def syllables(self) -> tuple[tuple[int, int], ...]:
        """Half-open index ranges of ``phones``, one per vowel; consonant clusters split before their last phone."""
        nuclei = [i for i, phone in enumerate(self.phones) if is_vowel(phone)]
        if not nuclei:
            return ((0, len(self.phones)),) if self.phones else ()
        cuts = [0]
        for left, right in itertools.pairwise(nuclei):
            cuts.append(right if right - left == 1 else right - 1)
        return tuple(zip(cuts, [*cuts[1:], len(self.phones)], strict=True))


@dataclass(frozen=True)
class Sentence:
    """A whole text in words, with the characters that could not be said."""

    words: tuple[Word, ...]
    skipped: tuple[str, ...]

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone in order, pauses left out."""
        return tuple(phone for word in self.words for phone in word.phones)


def _anusvara(following: str | None) -> str:
    if following is None:
        return "m"
    if following in NASALS and following != "m":
        return following
    return _HOMORGANIC.get(following[0], "m")


@lru_cache(maxsize=65_536)
def word_phones(word: str) -> tuple[str, ...]:
    """Phones of one word in Telugu letters; other characters are silent."""
    phones: list[str] = []
    at = 0
    pending = False  # an anusvara waits for the consonant that gives its place
    doubles = False  # a visarga before a consonant doubles it

    def add(phone: str) -> None:
        nonlocal pending, doubles
        if pending:
            phones.append(_anusvara(phone))
        if doubles:
            phones.append(phone[0] if phone in ("kh", "ph", "th", "ch", "Th") else phone)
        pending = doubles = False
        phones.append(phone)

    while at < len(word):
        char = word[at]
        following = word[at + 1] if at + 1 < len(word) else ""
        at += 1
        if char in _CONSONANTS:
            add("g" if word.startswith("జ్ఞ", at - 1) else _CONSONANTS[char])  # jna is said gna
            if following == _VIRAMA:
                at += 1
            elif following in _SIGNS:
                phones.append(_SIGNS[following])
                at += 1
            elif following in _R_SIGNS:
                phones.extend(_R_SIGNS[following])
                at += 1
            else:
                phones.append("a")
        elif char in _VOWELS:
            add(_VOWELS[char])
        elif char in _R_VOWELS:
            for phone in _R_VOWELS[char]:
                add(phone)
        elif char == _ANUSVARA:
            pending = True
        elif char == _VISARGA:
            if following in _CONSONANTS:
                doubles = True
            else:
                add("h")
                phones.append("a")
        elif char in _SIGNS and phones and is_vowel(phones[-1]):  # a misspelt second vowel sign: it wins
            phones[-1] = _SIGNS[char]
    if pending:
        phones.append("m")
    return tuple(phones)


@lru_cache(maxsize=32_768)
def analyse(text: str) -> Sentence:
    """Words, phones and breaks of any text. Never raises; see ``Sentence.skipped``."""
    plain = normalise(text)
    words: list[Word] = []
    for token in plain.text.split():
        bare = token.rstrip(".,?!…")
        mark: Break = token[len(bare) :][-1:]  # type: ignore[assignment]
        phones = word_phones(bare)
        if phones:
            words.append(Word(phones, mark))
        elif mark and words and not words[-1].pause:
            words[-1] = Word(words[-1].phones, mark)
    return Sentence(tuple(words), plain.skipped)


def phones_of(text: str) -> tuple[str, ...]:
    """Phones of the words of ``text`` in order: no pauses, breath or laughter."""
    return analyse(text).phones
