"""The talk page in Firefox, where one is installed: it opens, is heard by way of Opus, and gives one's own voice back.

Its fake microphone hums a tone, so nobody converses here; Telugu speech is Chromium's part.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from scripts.setup import find_binary
from tests.support.bidi import FirefoxPage, firefox
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]

PHASE = "document.querySelector('#stage').dataset.phase"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirefoxPage]:
    found = find_binary("firefox-esr", "firefox")
    if found is None:
        pytest.skip("Firefox is not installed (apt-get install firefox-esr)")
    with firefox(str(found), tmp_path_factory.mktemp("firefox")) as running:
        yield running


def tone(samples: Any, rate: int) -> float:
    """Hz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def test_firefox_talks_by_opus_and_hears_its_own_voice(page: FirefoxPage, stack: Stack) -> None:
    page.goto(stack.url)
    assert page.evaluate("document.documentElement.lang") == "te"
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Anek Telugu\"', 'తె'))")
    assert page.evaluate("document.querySelector('#status-title').textContent") == "మాట్లాడటానికి నొక్కండి"
    assert page.evaluate("innerWidth >= document.documentElement.scrollWidth")
    page.evaluate("document.querySelector('#talk-button').click()")
    page.wait_for(f"['listening', 'speaking'].includes({PHASE})", "the session")
    by_opus = page.evaluate("__voice.session.opus")
    assert page.evaluate("__voice.session.link.coded") == by_opus
    page.wait_for("__voice.session.link.seq > 100", "two seconds of the microphone to leave")
    assert page.evaluate("__voice.session.link.sentBytes / __voice.session.link.seq") < (250 if by_opus else 660)
    # Nobody was told of a packet that cannot be decoded: the fifth would have closed the connection.
    assert page.evaluate(f"['listening', 'speaking'].includes({PHASE})")
    page.evaluate("document.querySelector('input[name=mode][value=reconstruct]').click()")
    page.wait_for("__voice.session.state.config.mode === 'reconstruct'", "the other mode")
    page.wait_for(
        "__voice.session.audio.spoken && Number(document.querySelector('#meter-spoken').ariaValueNow) > 5", "sound"
    )
    page.evaluate("__voice.startTap()")
    page.wait_for("new Promise((done) => setTimeout(() => done(true), 1500))", "a second and a half of it")
    heard = page.evaluate("__voice.stopTap()")
    samples = np.frombuffer(base64.b64decode(heard["pcm"]), "<i2").astype(float)
    level = page.evaluate(
        "(() => { const a = __voice.session.audio.heard; const x = new Float32Array(a.fftSize);"
        " a.getFloatTimeDomainData(x); return [...x]; })()"
    )
    hummed = tone(np.asarray(level), heard["rate"])
    assert np.sqrt(np.mean(samples**2)) > 100, "something is rendered"
    assert abs(tone(samples, heard["rate"]) - hummed) < 40, "it is what the microphone hummed"
    page.press("\ue00c")
    page.wait_for(f"{PHASE} === 'ended'", "the end")
    assert page.complaints == []
