"""The codec lab in a real Chromium against the real codec: what is seen, and what is rendered to be heard."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from scipy.signal import resample_poly

from tests.support.browser import PATIENCE_MS, RATE, Audio, TalkPage, likeness
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.integration]

TAP = """() => {
  const { pair } = __lab;
  const listener = pair.context.createScriptProcessor(4096, 1, 1);
  window.__heard = [];
  listener.onaudioprocess = ({ inputBuffer }) => __heard.push(inputBuffer.getChannelData(0).slice());
  listener.connect(pair.context.destination);
  pair.through = (node) => { node.connect(listener); return node; };
}"""
TAKE = """() => {
  const blocks = __heard;
  window.__heard = [];
  const pcm = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) for (const x of block) pcm[at++] = Math.max(-32768, Math.min(32767, 32768 * x));
  const bytes = new Uint8Array(pcm.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return { rate: __lab.pair.context.sampleRate, pcm: btoa(text) };
}"""


@pytest.fixture
def lab(chromium: Browser, stack: Stack) -> Iterator[TalkPage]:
    """The codec lab in Telugu, with its first sample done."""
    page = TalkPage(chromium, stack.url)
    page.page.goto(stack.url + "lab")
    ready(page.page)
    yield page
    page.close()


def ready(page: Page) -> None:
    page.locator("#lab[data-state=ready]").wait_for(timeout=2 * PATIENCE_MS)


def figure(page: Page, name: str) -> float:
    return float(page.locator(f"[data-lab={name}]").inner_text())


def samples_of(page: Page, name: str) -> Audio:
    """One of the two recordings that the page holds, 16 kHz."""
    values = page.evaluate(f"[...__lab.pair.buffers.{name}.getChannelData(0)]")
    return np.asarray(values, np.float64)


def heard(page: Page) -> Audio:
    """Play from the beginning to the end; what was rendered, 16 kHz."""
    page.evaluate(TAKE)
    page.locator("#lab-play").click()
    page.locator("#lab-play[data-playing=true]").wait_for()
    page.locator("#lab-play[data-playing=false]").wait_for(timeout=2 * PATIENCE_MS)
    found: Any = page.evaluate(TAKE)
    rendered = np.frombuffer(base64.b64decode(found["pcm"]), "<i2") / 32_768
    return np.asarray(resample_poly(rendered, RATE, found["rate"]), np.float64)


def choose(page: Page, **setting: str) -> None:
    for name, value in setting.items():
        if name == "quantizers":
            page.locator("input[name=quantizers]").fill(value)
        else:
            page.locator(f"input[name={name}][value={value}]").check(force=True)
    page.wait_for_function(
        "([q, p]) => __lab && document.querySelector('#lab').dataset.state === 'ready'"
        " && document.querySelector('[data-quantizers=count]').textContent === q"
        " && document.querySelector('#lab').dataset.preset === p",
        arg=[
            page.locator("input[name=quantizers]").input_value(),
            page.locator("input[name=preset]:checked").input_value(),
        ],
        timeout=2 * PATIENCE_MS,
    )


def test_two_settings_side_by_side(lab: TalkPage) -> None:
    page = lab.page
    expect(page.get_by_role("heading", level=1)).to_have_text("కోడెక్ ప్రయోగశాల")
    page.evaluate(TAP)
    fine = (figure(page, "kbps"), figure(page, "snr"))
    assert fine[0] == 16
    assert 0 < figure(page, "rtf") < 1
    original, at_eight = samples_of(page, "original"), samples_of(page, "codec")
    assert len(original) == len(at_eight)
    # What is rendered is the side that is chosen, whole and in step.
    assert likeness(at_eight, heard(page)) > 0.98
    page.keyboard.press("a")
    expect(page.locator("input[name=side][value=original]")).to_be_checked()
    assert likeness(original, heard(page)) > 0.98
    choose(page, quantizers="2")
    coarse = (figure(page, "kbps"), figure(page, "snr"))
    assert coarse[0] == 4
    assert coarse[1] < fine[1] - 2, "fewer quantizers, more noise"
    at_two = samples_of(page, "codec")
    page.keyboard.press("b")
    rendered = heard(page)
    assert likeness(at_two, rendered) > 0.98
    assert likeness(at_eight, rendered) < 0.98
    choose(page, preset="dialogue")
    assert figure(page, "kbps") == 0.5
    expect(page.get_by_text("dialogue ఏం అన్నారో")).to_be_visible()
    for name in ("wave", "original", "codec", "difference", "codes"):
        shades = page.evaluate(
            f"(() => {{ const c = document.querySelector('[data-picture={name}]');"
            " return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size; })()"
        )
        assert shades > 8, f"{name} is drawn"
    with page.expect_download() as download:
        page.get_by_role("link", name="కోడెక్ చేసినది దించుకోండి").click()
    assert download.value.suggested_filename == "telucodec-dialogue-2.wav"
    assert Path(download.value.path()).read_bytes()[:4] == b"RIFF"
    assert lab.complaints == []


def test_seeking_and_both_languages(lab: TalkPage) -> None:
    page = lab.page
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Codec lab")
    ready(page)
    picture = page.locator("[data-picture=original]").bounding_box()
    assert picture is not None
    page.mouse.click(picture["x"] + picture["width"] / 2, picture["y"] + 5)
    seconds = page.evaluate("__lab.pair.seconds")
    assert page.evaluate("__lab.pair.position") == pytest.approx(seconds / 2, abs=0.02 * seconds)
    page.get_by_role("slider", name="Place in the recording").fill("250")
    assert page.evaluate("__lab.pair.position") == pytest.approx(seconds / 4, abs=0.02 * seconds)
    page.get_by_role("button", name="Play: recording").click()
    page.wait_for_function("(from) => __lab.pair.position > from + 0.3", arg=seconds / 4)
    page.get_by_role("button", name="Pause: recording").click()


def test_ones_own_voice(lab: TalkPage, clips: list[Audio]) -> None:
    page = lab.page
    record = page.get_by_role("button", name="మీ గొంతు రికార్డు చేయండి")
    record.click()
    stop = page.get_by_role("button", name="రికార్డింగ్ ఆపండి")
    expect(stop).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(
        "() => Number.parseFloat(document.querySelector('#lab-record-time').textContent) > 4", timeout=2 * PATIENCE_MS
    )
    stop.click()
    page.wait_for_function("() => __lab.pair.seconds > 3.9 && __lab.pair.seconds < 15", timeout=2 * PATIENCE_MS)
    ready(page)
    original, codec = samples_of(page, "original"), samples_of(page, "codec")
    assert max(likeness(original, clip) for clip in clips) > 0.9, "what the microphone said"
    assert likeness(original, codec) > 0.8
    assert figure(page, "seconds") == pytest.approx(len(original) / RATE, abs=0.01)


def test_files_that_people_bring(lab: TalkPage, clips: list[Audio], tmp_path: Path) -> None:
    page = lab.page
    clip = clips[0][: 4 * RATE]
    song = tmp_path / "గొంతు.mp3"
    with av.open(str(song), "w") as out:
        stream = out.add_stream("libmp3lame", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((clip * 32_767).astype(np.int16)[None], format="s16p", layout="mono")
        frame.sample_rate = RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    page.locator("input[type=file]").set_input_files(song)
    page.wait_for_function(
        "(s) => Math.abs(__lab.pair.seconds - s) < 0.2", arg=len(clip) / RATE, timeout=2 * PATIENCE_MS
    )
    expect(page.locator("[data-file-name]")).to_have_text("గొంతు.mp3")
    assert likeness(clip[RATE : 2 * RATE], samples_of(page, "original")) > 0.95
    letter = tmp_path / "letter.wav"
    letter.write_text("ఇది ధ్వని కాదు")
    page.locator("input[type=file]").set_input_files(letter)
    expect(page.locator("#lab-status")).to_contain_text("ఇది ధ్వని ఫైలు కాదు", timeout=PATIENCE_MS)
