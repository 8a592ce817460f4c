"""The recogniser as an ear of turn-taking: the words of the last second or two, in a few milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.data.synthesis.g2p import phones_of
from ml.recogniser.recogniser import Recogniser
from ml.turn_taking.words import Endings, Sort, sort_of

if TYPE_CHECKING:  # as in `ml.recogniser.captions`
    from ml.data.corpus.loader import Corpus

LEAST = 1_600
"""Samples below which nothing can be recognised."""


class TurnEars:
    """Whole clips only: it keeps nothing between two calls, and any thread may call it."""

    def __init__(self, recogniser: Recogniser, endings: Endings | None = None) -> None:
        """`endings` of the shipped corpus when None."""
        self._recogniser = recogniser
        self._endings = endings or _shipped()

    def sort(self, audio: NDArray[np.float32]) -> Sort:
        """What sort of words there are in audio float32 [T] at 16 kHz."""
        return sort_of(self._recogniser.phones(audio)) if len(audio) >= LEAST else "nothing"

    def ending(self, audio: NDArray[np.float32]) -> float:
        """How likely a sentence ends with the last words in audio, by its words: 0 to 1."""
        return self._endings.probability(self._recogniser.phones(audio)) if len(audio) >= LEAST else 0.5


def questions_of(corpus: Corpus) -> Iterator[list[tuple[str, ...]]]:
    """Everything that the corpus has people say, as phones of its words."""
    from ml.data.corpus.schema import words

    sound = lru_cache(maxsize=None)(phones_of)
    texts = [text for intent in corpus.intents.values() for _, text in intent.ask.items()]
    texts += [text for chain in corpus.chains for turn in chain.turns for _, text in turn.ask.items()]
    texts += [text for followup in corpus.followups.values() for _, text in followup.ask.items()]
    for text in texts:
        found = [phones for word in words(text) if (phones := sound(word))]
        if found:
            yield found


@lru_cache(maxsize=1)
def _shipped() -> Endings:
    from ml.data.corpus.loader import load_corpus

    return Endings(questions_of(load_corpus()))
