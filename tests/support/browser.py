"""Chromium with a file as its microphone, and the talk page as a test sees it."""

from __future__ import annotations

import base64
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from scipy.signal import correlate, resample_poly

from ml.serve.wire import Open, encode
from tests.support.waiting import wait_until

Audio = npt.NDArray[np.float64]

RATE = 16_000
PATIENCE_MS = 30_000
"""How long the page may take for anything: the machine that runs the tests may be busy."""

QUIET = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)
FAKE_DEVICE = ("--use-fake-device-for-media-stream",)
GRANTED = ("--use-fake-ui-for-media-stream",)


def read_speech(path: Path) -> Audio:
    """A recording as 16 kHz mono, peak 0.7."""
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    mono = resample_poly(samples.mean(axis=1), RATE, rate)
    return cast(Audio, 0.7 * mono / np.abs(mono).max())


SENTENCES = "నమస్కారం, మీరు ఎలా ఉన్నారు? ఈ రోజు వాతావరణం చాలా బాగుంది."


def synthetic_speech(path: Path, words: str = SENTENCES) -> Audio:
    """Telugu by espeak-ng: for where the shared recordings are absent."""
    subprocess.run(["espeak-ng", "-v", "te", "-s", "140", "-w", str(path), words], check=True)
    return read_speech(path)


def write_microphone(path: Path, clips: list[Audio], silence_s: float = 1.0) -> Path:
    """A WAV that says the clips with some silence around each; Chromium plays it over and over."""
    silence = np.zeros(round(silence_s * RATE))
    soundfile.write(path, np.concatenate([silence, *(part for clip in clips for part in (clip, silence))]), RATE)
    return path


@contextmanager
def chromium(executable: str, *flags: str) -> Iterator[Browser]:
    """A headless Chromium; its pages know no other network than the one they are sent to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=[*QUIET, *flags])
        try:
            yield browser
        finally:
            browser.close()


def with_microphone(wav: Path) -> tuple[str, ...]:
    return (*FAKE_DEVICE, *GRANTED, f"--use-file-for-fake-audio-capture={wav}")


class TalkPage:
    """The talk page in a context of its own. ``complaints`` collects what the browser's console called an error."""

    def __init__(self, browser: Browser, url: str, *, language: str = "te", **context: Any) -> None:
        self.context: BrowserContext = browser.new_context(**context)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_cookies([{"name": "django_language", "value": language, "url": url}])
        self.page: Page = self.context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)

    def open(self) -> TalkPage:
        self.page.goto(self.url)
        expect(self.page.locator("#status-title")).not_to_be_empty()
        return self

    def close(self) -> None:
        self.context.close()

    def wait_for_phase(self, *phases: str) -> None:
        places = ", ".join(f'#stage[data-phase="{phase}"]' for phase in phases)
        self.page.locator(places).wait_for(timeout=PATIENCE_MS)

    def wait_until_live(self) -> None:
        self.wait_for_phase("listening", "speaking")

    def expect_words(self, *words: str) -> None:
        for one in words:
            expect(self.page.locator(".status")).to_contain_text(one, timeout=PATIENCE_MS)

    def figure(self, name: str) -> float | None:
        """A live figure, or None while it is a dash."""
        text = self.page.locator(f'[data-figure="{name}"]').inner_text()
        return None if text == "–" else float(text)

    def wait_for_figure(self, name: str, fits: Callable[[float], bool]) -> None:
        """Wait until the figure is a number that fits."""

        def shown() -> bool:
            value = self.figure(name)
            return value is not None and fits(value)

        wait_until(shown, PATIENCE_MS / 1000, f"a fitting figure for {name}")

    def wait_for_level(self, side: str, percent: float) -> None:
        """Wait until the meter of ``side`` ("heard" or "spoken") shows more than ``percent``."""
        meter = self.page.locator(f"#meter-{side}")
        wait_until(
            lambda: float(meter.get_attribute("aria-valuenow") or 0) > percent, PATIENCE_MS / 1000, f"a level on {side}"
        )

    def wait_for_turns(self, count: int) -> None:
        self.page.locator("#turns > li").nth(count - 1).wait_for(timeout=2 * PATIENCE_MS)

    @property
    def session_id(self) -> str:
        return str(self.page.evaluate("__voice.session.state.session"))

    def start_recording(self) -> None:
        """From now on keep what the playback worklet renders."""
        self.page.evaluate("__voice.startTap()")

    def stop_recording(self) -> Audio:
        """What it rendered, at 16 kHz."""
        found = self.page.evaluate("__voice.stopTap()")
        samples = np.frombuffer(base64.b64decode(found["pcm"]), "<i2").astype(np.float64) / 32_768
        return cast(Audio, resample_poly(samples, RATE, found["rate"]))


def find_clip(clip: Audio, heard: Audio) -> Audio:
    """The stretch of ``heard`` that is most like ``clip`` (peak of the normalised cross-correlation)."""
    if len(heard) < len(clip):
        raise ValueError(f"recorded {len(heard) / RATE:.1f} s, shorter than the clip of {len(clip) / RATE:.1f} s")
    match = correlate(heard, clip, mode="valid", method="fft")
    total = np.concatenate([[0.0], np.cumsum(heard**2)])
    energy = total[len(clip) :] - total[: -len(clip)]
    at = int(np.argmax(match / np.sqrt(np.maximum(energy, 1e-3))))
    return heard[at : at + len(clip)]


def likeness(clip: Audio, rendered: Audio) -> float:
    """Correlation of a stretch of the clip and the place in what was rendered that is most like it, at best.

    At four times the rate, since the device may stand between two samples; of several stretches the best, since a busy
    machine may drop a block of the listener.
    """
    fine = np.asarray(resample_poly(rendered, 4, 1))
    best = 0.0
    for start in range(0, len(clip) - RATE // 2, RATE // 2):
        stretch = np.asarray(resample_poly(clip[start : start + RATE // 2], 4, 1))
        if np.abs(stretch).max() > 0.05:
            best = max(best, float(np.corrcoef(stretch, find_clip(stretch, fine))[0, 1]))
    return best


@contextmanager
def every_slot_taken(inference_url: str) -> Iterator[None]:
    """Nobody else finds room on that inference server (a unix socket)."""
    with ExitStack() as cleanup:
        while True:
            taken = cleanup.enter_context(socket.socket(socket.AF_UNIX))
            taken.settimeout(10)
            taken.connect(inference_url.removeprefix("unix://"))
            taken.sendall(encode(Open(mode="reconstruct", preset="hifi", quantizers=8)))
            if b'"busy"' in taken.recv(4096):
                yield
                return
