"""What was said before the inference server died is known after it, also when the answer was cut by that."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import soundfile

from apps.voice.protocol import AnswerEvent, TurnStored
from ml.data.corpus.loader import load_corpus
from ml.data.synthesis import festival, speak
from ml.data.synthesis.phones import PHONE_ID
from ml.evaluate.s2s import AnswerBook
from ml.recogniser import Recogniser, words_only
from scripts.setup import find_binary
from tests.support.live_client import live_client, microphone
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

INTENT, AGAIN = "about_me.favourite_colour", "మళ్ళీ చెప్పండి"
HEARD_FRAMES = 12
"""Half a second of her answer: far too little to tell it from others by ear."""


def spoken(words: str) -> bytes:
    """By Ravi, as he is at rest; PCM16LE."""
    return bytes((speak(words, voice="ravi").audio * 32_767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def voices() -> None:
    if find_binary("festival") is None or not festival.installed():
        pytest.skip("Festival's Telugu voice is not installed (apt-get install festival-te festvox-te-nsk)")


@pytest.mark.usefixtures("voices")
async def test_an_answer_that_a_death_cut_short_is_said_again(embedded: Stack) -> None:
    corpus = load_corpus()
    question = spoken(corpus.intents[INTENT].ask.train[0])
    async with live_client(embedded.ws_url) as client:
        first = await client.hello(mode="talk")
        async with microphone(client) as said:
            await said.put(question)
            await client.wait_for(AnswerEvent, event="started")
            await client.until(lambda: len(client.audio) >= HEARD_FRAMES, "some of her answer")
            killed = embedded.kill("inference")
            await client.wait_closed()
    await asyncio.to_thread(embedded.wait_back, "inference", killed)
    async with live_client(embedded.ws_url) as client:
        again = await client.hello(mode="talk", resume=first.resume_token)
        assert again.session == first.session
        async with microphone(client) as said:
            await said.put(spoken(AGAIN))
            await client.wait_for(AnswerEvent, event="ended")
            await client.wait_for(TurnStored, role="assistant")
        await client.end()

    def answers() -> list[dict[str, Any]]:
        from apps.voice.models import Turn

        found = Turn.objects.filter(session_id=first.session, role="assistant").order_by("index")
        return [dict(row) for row in found.values("stats", "duration_ms", "audio")]

    cut, whole = await embedded.aquery(answers)
    assert 2 * cut["duration_ms"] < whole["duration_ms"]
    assert cut["stats"]["plan"] == whole["stats"]["plan"]
    # By ear as well, of what was sent.
    samples, _rate = soundfile.read(embedded.folder / "media" / whole["audio"], dtype="float32")
    phones = [PHONE_ID[symbol] for symbol in words_only(Recogniser.load().phones(np.asarray(samples)))]
    book = AnswerBook({answer.text: answer.text for answer in corpus.answers()})
    assert book.nearest(phones)[0] in {answer.text for answer in corpus.intents[INTENT].answers}
