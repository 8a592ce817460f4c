"""Telugu questions by the project's own voices, and who judges by ear whether an answer is one to them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import soxr

Audio = npt.NDArray[np.float32]
RATE = 16_000
INTENTS = ("weather.power_cut", "product.speak_excited", "music_cinema.old_songs")
"""What is asked, in this order. The last one is long enough to be no backchannel where it is spoken over an answer."""


def asked(intent: str, *, rate: int = 24_000) -> bytes:
    """Its first phrasing, spoken by Arjun: PCM16LE at ``rate``. Needs Festival."""
    from ml.data.corpus.loader import load_corpus
    from ml.data.synthesis import speak

    clip = speak(load_corpus().intents[intent].ask.train[0], voice="arjun", seed=1)
    audio = np.asarray(clip.audio, np.float32)
    if rate != RATE:
        audio = np.asarray(soxr.resample(audio, RATE, rate), np.float32)
    return (audio.clip(-1, 1) * 32_767).astype("<i2").tobytes()


class Judge:
    """The recogniser, and every answer of the corpus."""

    @cached_property
    def _tools(self) -> tuple[object, object]:
        from ml.data.corpus.loader import load_corpus
        from ml.evaluate.s2s import AnswerBook
        from ml.recogniser import Recogniser

        corpus = load_corpus()
        texts = {f"{i.id}#{n}": a.text for i in corpus.intents.values() for n, a in enumerate(i.answers)}
        texts |= {f"fallback#{n}": answer.text for n, answer in enumerate(corpus.fallbacks)}
        return Recogniser.load(), AnswerBook(texts)

    def intent_of(self, pcm: bytes, *, rate: int = 24_000) -> str:
        """What is answered by PCM16LE audio, as it is heard: the intent of the answer that sounds nearest."""
        from ml.evaluate.s2s import hear

        audio = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        if rate != RATE:
            audio = np.asarray(soxr.resample(audio, rate, RATE), np.float32)
        recogniser, book = self._tools
        (heard,) = hear(recogniser, book, [audio])  # type: ignore[arg-type]
        return heard.nearest.split("#")[0]
