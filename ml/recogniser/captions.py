"""Telugu text for recognised phones: the corpus text that sounds nearest, else letters by rule.

Letters by rule are approximate: word boundaries are found with the corpus's own words, everything else is spelt
syllable by syllable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ml.data.synthesis.g2p import phones_of
from ml.data.synthesis.phones import NON_SPEECH, PHONE_ID, PHONES, is_vowel
from ml.recogniser.decode import padded_distances

if TYPE_CHECKING:  # reading the corpus takes libraries that nobody else needs: a start that finds it kept goes without
    from ml.data.corpus.loader import Corpus

NEAR = 0.34
"""A corpus text is taken when at most this share of its phones would have to change."""
_AT_ONCE = 64
"""Texts that are compared phone by phone before it is asked whether another can be nearer."""
_VOWEL_LETTERS = dict(
    zip(PHONES[1:13], ["అ", "ఆ", "ఇ", "ఈ", "ఉ", "ఊ", "ఎ", "ఏ", "ఐ", "ఒ", "ఓ", "ఔ"], strict=True)  # noqa: RUF100
)
_VOWEL_SIGNS = dict(zip(PHONES[1:13], ["", "ా", "ి", "ీ", "ు", "ూ", "ె", "ే", "ై", "ొ", "ో", "ౌ"], strict=True))
_LETTERS = dict(
    zip(
        PHONES[13:47],
        [
            *("క", "ఖ", "గ", "ఘ", "ఙ", "చ", "ఛ", "జ", "ఝ", "ఞ", "ట", "ఠ", "డ", "ఢ", "ణ", "త", "థ", "ద", "ధ", "న"),
            *("ప", "బ", "భ", "మ", "ఫ", "య", "ర", "ల", "వ", "ళ", "స", "శ", "ష", "హ"),
        ],
        strict=True,
    )
)
_VIRAMA, _ANUSVARA = "్", "ం"
_BEFORE_ANUSVARA = frozenset(("ng", "ny", "N", "n", "m"))


def spell(phones: Sequence[str]) -> str:
    """Telugu letters for the phones of one word (consonants join, a nasal before a consonant is an anusvara)."""
    text, open_consonant = "", False
    for at, phone in enumerate(phones):
        following = phones[at + 1] if at + 1 < len(phones) else None
        if is_vowel(phone):
            text += _VOWEL_SIGNS[phone] if open_consonant else _VOWEL_LETTERS[phone]
            open_consonant = False
        elif phone in _LETTERS:
            joins = following is not None and not is_vowel(following)
            if phone in _BEFORE_ANUSVARA and joins and following != phone and not open_consonant and text:
                text += _ANUSVARA
                continue
            text += (_VIRAMA if open_consonant else "") + _LETTERS[phone]
            open_consonant = True
    if open_consonant:  # a word's last m is written as an anusvara, other consonants with a virama
        text = text[:-1] + _ANUSVARA if text.endswith("మ") and len(text) > 1 else text + _VIRAMA
    return text


@dataclass(frozen=True)
class Caption:
    """Text for a stretch of speech."""

    text: str
    distance: float
    """Share of phones that differ from the text's own; 0 is an exact match."""
    known: bool
    """True when the text is one of the corpus."""


@dataclass(frozen=True, slots=True)
class KnownTexts:
    """What a captioner needs of its texts. Of the corpus it takes seconds to make (`ml.recogniser.kept` keeps it)."""

    texts: list[str]
    """Each once."""
    phones: NDArray[np.int8]
    """`[N, width]`, ids of each text's phones, filled up with -1."""
    words: dict[tuple[str, ...], str]
    """By their phones; of words that sound alike the first."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Everything that follows from the texts."""
        from ml.data.corpus.schema import words

        known = list(dict.fromkeys(texts))
        ids = [[PHONE_ID[p] for p in phones_of(text)] for text in known]
        phones = np.full((len(ids), max(map(len, ids), default=1)), -1, np.int8)
        there = np.arange(phones.shape[1]) < np.array([len(i) for i in ids], np.int64)[:, None]
        phones[there] = [symbol for sequence in ids for symbol in sequence]
        sounds: dict[tuple[str, ...], str] = {}
        for word in dict.fromkeys(word for text in known for word in words(text)):
            sounds.setdefault(phones_of(word), word)
        return cls(known, phones, sounds)


class Captioner:
    """Finds text for phones among known texts and words."""

    def __init__(self, known: Iterable[str] | KnownTexts) -> None:
        self.known = known if isinstance(known, KnownTexts) else KnownTexts.of(known)
        self.texts = self.known.texts
        self._padded = self.known.phones
        there = self._padded >= 0
        self._lengths = there.sum(axis=1)
        # One number for each pair of a text and a phone, so that all are counted at once.
        shape = (len(self.texts), len(PHONES))
        pairs = self._padded + np.arange(shape[0])[:, None] * shape[1]
        self._counts = np.bincount(pairs[there], minlength=shape[0] * shape[1]).reshape(shape).astype(np.int16)
        self._words = self.known.words
        self._longest = max((len(p) for p in self._words), default=1)

    @classmethod
    def of_corpus(cls, corpus: Corpus | None = None) -> Captioner:
        """Knows every question and answer of the corpus (the shipped one by default)."""
        return _shipped() if corpus is None else cls(corpus_texts(corpus))

    def nearest(self, phones: Sequence[str], within: float = 1.0) -> Caption | None:
        """The known text that sounds nearest, however far; None without any. Where none is at most `within` away, the
        nearest of those that were looked at.
        """
        query = [PHONE_ID[p] for p in phones if p not in NON_SPEECH]
        if not self.texts or not query:
            return None
        # No text is nearer than the phones that it has too many or too few: whoever may be nearest comes first.
        more = self._counts - np.bincount(query, minlength=len(PHONES)).astype(np.int16)
        least = np.maximum(more.clip(min=0).sum(axis=1), (-more).clip(min=0).sum(axis=1))
        longest = np.maximum(self._lengths, len(query))
        order = np.argsort(least / longest, kind="stable")
        best, share = -1, np.inf
        for start in range(0, len(order), _AT_ONCE):
            rows = order[start : start + _AT_ONCE]
            bound = least[rows[0]] / longest[rows[0]]
            if bound >= share or (start and bound > within):
                break
            lengths = self._lengths[rows]
            shares = padded_distances(query, self._padded[rows, : int(lengths.max())], lengths) / longest[rows]
            if shares.min() < share:
                best, share = int(rows[int(shares.argmin())]), float(shares.min())
        return Caption(self.texts[best], share, True)

    def caption(self, phones: Sequence[str]) -> Caption:
        """A known text when one is near enough (`NEAR`), else letters by rule."""
        found = self.nearest(phones, NEAR)
        if found is not None and found.distance <= NEAR:
            return found
        return Caption(self.by_rule(phones), found.distance if found else 1.0, False)

    def by_rule(self, phones: Sequence[str]) -> str:
        """Words of the corpus where the phones are theirs, letters elsewhere; pauses part words."""
        parts: list[str] = []
        held: list[str] = []
        for phone in [*phones, "sil"]:
            if phone in NON_SPEECH:
                parts += self._segment(held)
                held = []
            else:
                held.append(phone)
        return " ".join(parts)

    def _segment(self, phones: list[str]) -> list[str]:
        # Cheapest cover: a known word costs 1, a phone that is in none costs 1.2; equal covers prefer long words.
        best: list[tuple[float, int, str | None]] = [(0.0, 0, None)]
        for end in range(1, len(phones) + 1):
            options: list[tuple[float, int, str | None]] = [(best[end - 1][0] + 1.2, end - 1, None)]
            for start in range(max(0, end - self._longest), end - 1):
                word = self._words.get(tuple(phones[start:end]))
                if word is not None:
                    options.append((best[start][0] + 1.0, start, word))
            best.append(min(options, key=lambda option: option[0]))
        pieces: list[str | list[str]] = []
        at = len(phones)
        while at:
            _, start, word = best[at]
            if word is not None:
                pieces.append(word)
            elif pieces and isinstance(pieces[-1], list):
                pieces[-1].insert(0, phones[start])
            else:
                pieces.append([phones[start]])
            at = start
        return [piece if isinstance(piece, str) else spell(piece) for piece in reversed(pieces)]


def corpus_texts(corpus: Corpus) -> list[str]:
    """Every text of a corpus, answers first."""
    found = [answer.text for answer in corpus.answers()]
    found += [text for intent in corpus.intents.values() for _, text in intent.ask.items()]
    found += [text for chain in corpus.chains for turn in chain.turns for _, text in turn.ask.items()]
    return found + [text for follow in corpus.followups.values() for _, text in follow.ask.items()]


@lru_cache(maxsize=1)
def _shipped() -> Captioner:
    from ml.data.corpus.loader import load_corpus

    return Captioner(corpus_texts(load_corpus()))
