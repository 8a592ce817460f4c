"""A conversation as a person has it: the shipped models, spoken Telugu of the project's voices, a page on a phone.

She is asked something, then "why?", then something else and "why?" once more, in the very same recording: what she
says to it has to depend on the turn before. Judged by our recogniser in what was rendered, in the rows and on the page.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from ml.data.corpus.loader import Corpus, load_corpus
from ml.data.synthesis import festival, speak
from ml.data.synthesis.phones import PHONE_ID
from ml.evaluate.s2s import AnswerBook
from ml.recogniser import Recogniser, words_only
from scripts.setup import find_binary
from tests.support import browser
from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, find_clip, likeness
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ASKED = ("about_me.favourite_colour", "why", "health.headache", "why")
"""A turn each: an intent, or a follow-up to the one before it."""
WHY = "ఎందుకు?"
PAUSE_S = 8.0
"""After each question: for the answer, on a busy machine, and so that nobody is spoken over."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus()


def question_of(corpus: Corpus, turn: str) -> str:
    return WHY if turn == "why" else corpus.intents[turn].ask.train[0]


def answers_to(corpus: Corpus, turn: int) -> set[str]:
    """What may be said to that turn."""
    if ASKED[turn] != "why":
        return {answer.text for answer in corpus.intents[ASKED[turn]].answers}
    reason = corpus.intents[ASKED[turn - 1]].why
    assert reason is not None
    return {reason.text}


@pytest.fixture(scope="module")
def questions(corpus: Corpus) -> list[Audio]:
    """Spoken by Ravi, as he is at rest."""
    if find_binary("festival") is None or not festival.installed():
        pytest.skip("Festival's Telugu voice is not installed (apt-get install festival-te festvox-te-nsk)")
    return [np.asarray(speak(question_of(corpus, turn), voice="ravi").audio, np.float64) for turn in ASKED]


@pytest.fixture(scope="module")
def talker(
    chromium_path: str, embedded: Stack, questions: list[Audio], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TalkPage]:
    pause = np.zeros(round(PAUSE_S * RATE))
    wav = tmp_path_factory.mktemp("questions") / "microphone.wav"
    soundfile.write(wav, np.concatenate([part for spoken in questions for part in (spoken, pause)]), RATE)
    with browser.chromium(chromium_path, *browser.with_microphone(wav)) as running:
        page = TalkPage(running, embedded.url, **PHONE).open()
        page.page.get_by_role("switch", name="హెడ్‌ఫోన్స్ పెట్టుకున్నాను").check()  # nothing of hers reaches the microphone
        yield page
        page.close()


def rows_of(stack: Stack, session: str) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        from apps.voice.models import Turn

        turns = Turn.objects.filter(session_id=uuid.UUID(session)).order_by("index")
        names = ("id", "role", "audio", "caption", "interrupted_at_ms", "latency")
        return [dict(row) for row in turns.values(*names)]

    return stack.query(read)


def bubbles(page: Page, role: str) -> Any:
    return page.locator(f"#turns > li[data-role={role}]")


def test_the_answer_to_why_depends_on_what_was_said_before(
    talker: TalkPage, embedded: Stack, corpus: Corpus, questions: list[Audio]
) -> None:
    page = talker.page
    page.locator("#talk-button").tap()
    talker.wait_until_live()
    session = talker.session_id
    talker.start_recording()
    expect(bubbles(page, "assistant").nth(len(ASKED) - 1)).to_be_visible(timeout=8 * PATIENCE_MS)
    rendered = talker.stop_recording()
    captioned = page.locator("#turns > li .caption:not([hidden])")
    expect(captioned.nth(2 * len(ASKED) - 1)).to_be_attached(timeout=4 * PATIENCE_MS)

    rows = rows_of(embedded, session)[: 2 * len(ASKED)]
    assert [row["role"] for row in rows] == ["user", "assistant"] * len(ASKED)
    recogniser, book = Recogniser.load(), AnswerBook({answer.text: answer.text for answer in corpus.answers()})
    for turn, (mine, hers) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        assert hers["interrupted_at_ms"] is None
        asked, said = (audio_of(embedded, row) for row in (mine, hers))
        assert likeness(questions[turn], asked) > 0.8, "what was asked arrived"
        assert likeness(said, rendered) > 0.8, "what is stored is what was rendered"
        # By ear, of what came out of the loudspeaker.
        heard = find_clip(said, rendered).astype(np.float32)
        phones = [PHONE_ID[symbol] for symbol in words_only(recogniser.phones(heard))]
        assert book.nearest(phones)[0] in answers_to(corpus, turn), f"turn {turn}: {hers}"
        assert hers["caption"] in answers_to(corpus, turn)
        bubble = page.locator(f'#turns > li[data-turn="{hers["id"]}"]')
        expect(bubble.locator(".caption")).to_contain_text(hers["caption"])
        expect(bubble.locator(".caption")).to_contain_text("సుమారుగా")
        expect(bubble.locator("[data-part=legend] b")).to_contain_text("నిశ్శబ్దం")
        pieces = bubble.locator("[data-part=latency] > span")
        assert pieces.count() >= 3, "the silence, split into its stages"
        silence = float(bubble.get_attribute("data-silence") or 0)
        assert silence > hers["latency"]["endpoint_ms"], "what was heard is no less than the wait for the end of speech"
    assert rows[3]["caption"] != rows[7]["caption"], "one recording, two answers"

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    page.locator("#talk-button").tap()
    talker.wait_for_phase("ended")
    assert talker.complaints == []


def audio_of(stack: Stack, row: dict[str, Any]) -> Audio:
    samples, rate = soundfile.read(stack.folder / "media" / row["audio"], dtype="float64")
    assert rate == RATE
    return np.asarray(samples, np.float64)
