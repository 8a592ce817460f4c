"""The gallery of voices in a real Chromium: a press is heard, says whose voice it is, and stops what was heard."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Locator, expect
from scipy.signal import resample_poly

from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, likeness
from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.integration]

ANSWERS = ROOT / "frontend" / "static" / "voice" / "answers"
TAP = """
window.__players = [];
window.__heard = [];
const Plain = window.Audio;
window.Audio = function (...words) {
  const player = new Plain(...words);
  __players.push(player);
  const context = new AudioContext();
  const listener = context.createScriptProcessor(4096, 1, 1);
  listener.onaudioprocess = ({ inputBuffer }) => __heard.push(inputBuffer.getChannelData(0).slice());
  const source = context.createMediaElementSource(player);
  source.connect(context.destination);
  source.connect(listener).connect(context.destination);
  window.__rate = context.sampleRate;
  return player;
};
"""
"""What the page's players render, kept; they play as they would."""
TAKE = """() => {
  const blocks = __heard.splice(0);
  const pcm = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) for (const x of block) pcm[at++] = Math.max(-32768, Math.min(32767, 32768 * x));
  const bytes = new Uint8Array(pcm.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return { rate: __rate, pcm: btoa(text) };
}"""


class Gallery(TalkPage):
    """The page of voices."""

    def sample(self, voice: str, emotion: str) -> Locator:
        """The button as assistive technology finds it: by the voice's region and the emotion's name."""
        region = self.page.get_by_role("region", name=voice)
        return region.get_by_role("button", name=emotion, exact=True)

    @property
    def pressed(self) -> Locator:
        return self.page.get_by_role("button", pressed=True)

    def at_s(self) -> float:
        """Where the player is."""
        return float(self.page.evaluate("__players[0].currentTime"))

    def wait_until_past(self, seconds: float) -> None:
        wait_until(lambda: self.at_s() > seconds, PATIENCE_MS / 1000, f"{seconds} s of the recording")

    def take(self) -> Audio:
        """What was rendered since the last time, at 16 kHz."""
        found: Any = self.page.evaluate(TAKE)
        rendered = np.frombuffer(base64.b64decode(found["pcm"]), "<i2") / 32_768
        return np.asarray(resample_poly(rendered, RATE, found["rate"]), np.float64)


@pytest.fixture
def gallery(chromium: Browser, stack: Stack) -> Iterator[Gallery]:
    """In English, on a screen of a desktop."""
    page = Gallery(chromium, f"{stack.url}listen", language="en")
    page.page.add_init_script(TAP)
    page.page.goto(page.url)
    yield page
    page.close()


def recording(name: str) -> Audio:
    samples, rate = soundfile.read(ANSWERS / f"{name}.ogg", dtype="float64", always_2d=True)
    return np.asarray(resample_poly(samples.mean(axis=1), RATE, rate), np.float64)


def test_a_sample_is_heard_named_and_stopped_by_the_next(gallery: Gallery) -> None:
    expect(gallery.pressed).to_have_count(0)
    first, second = gallery.sample("Ravi", "Happy"), gallery.sample("Priya", "Neutral")
    gallery.take()
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(gallery.pressed).to_have_count(1)
    gallery.wait_until_past(1.2)
    expect(first).to_have_attribute("style", re.compile(r"--at: *0\.\d"))  # how far it is, to be seen
    assert likeness(recording("ravi-happy"), gallery.take()) > 0.8

    second.click()
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(first).to_have_attribute("aria-pressed", "false")
    expect(gallery.pressed).to_have_count(1)
    assert gallery.page.evaluate("__players.length") == 1, "one player: two voices are never heard at a time"
    wait_until(lambda: "priya-neutral" in gallery.page.evaluate("__players[0].currentSrc"), 30, "the other recording")
    gallery.take()
    expect(second).to_have_attribute("aria-pressed", "false", timeout=PATIENCE_MS)  # it came to its end
    heard = gallery.take()  # the whole: a busy machine drops blocks of the listener, and one stretch is enough
    likely = likeness(recording("priya-neutral"), heard)
    assert likely > 0.8
    assert likeness(recording("ravi-happy"), heard) < likely
    assert gallery.complaints == []


def test_a_second_press_by_the_keyboard_stops_it(gallery: Gallery) -> None:
    button = gallery.sample("Lakshmi", "Thinking")
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    gallery.wait_until_past(0.2)
    button.press("Space")
    expect(gallery.pressed).to_have_count(0)
    assert gallery.page.evaluate("__players[0].paused")
    assert gallery.complaints == []


def test_a_recording_that_is_not_there_is_said_in_words(gallery: Gallery) -> None:
    gallery.page.route("**/*arjun-neutral*", lambda route: route.abort())
    gallery.sample("Arjun", "Neutral").click()
    expect(gallery.page.get_by_role("status")).to_have_text("This recording could not be played.")
    expect(gallery.pressed).to_have_count(0)
