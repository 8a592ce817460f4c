"""Voice to voice in a real browser: from what its microphone heard and what it rendered, on the browser's own clock.

Chromium's microphone is a file: a question, silence in which it is answered, something said over the answer, silence.
Both the microphone and the playback worklet's output are recorded side by side, so that no clock has to be trusted.
"""

from __future__ import annotations

import base64
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from playwright.sync_api import sync_playwright

from benchmarks.conversation import QUESTIONS, question
from benchmarks.live import percentiles
from benchmarks.product import Product

RATE = 16_000
LEAD_S, OVER_AFTER_S, REST_S = 2.5, 3.0, 8.0
LOUD = 10 ** (-45 / 20)
"""Below this a rendered sample is silence."""
GAP_S = 0.35
"""Silence inside what is one utterance."""
Audio = npt.NDArray[np.float64]

_RECORD = """() => {
  const audio = __voice.session.audio, context = audio.context;
  const both = new ChannelMergerNode(context, { numberOfInputs: 2 });
  audio.source.connect(both, 0, 0);
  audio.playback.connect(both, 0, 1);
  const size = 512, recorder = context.createScriptProcessor(size, 2, 1);
  window.__bench = { mic: [], out: [], stops: [] };
  recorder.onaudioprocess = (event) => {
    const kept = window.__bench;
    kept.mic.push(event.inputBuffer.getChannelData(0).slice());
    kept.out.push(event.inputBuffer.getChannelData(1).slice());
  };
  both.connect(recorder).connect(context.destination);
  const discard = audio.discard.bind(audio);
  audio.discard = (...how) => { window.__bench.stops.push(window.__bench.mic.length * size); discard(...how); };
}"""
_TAKE = """() => {
  const kept = window.__bench;
  const text = (blocks) => {
    const bytes = new Uint8Array(new Float32Array(blocks.flatMap((block) => [...block])).buffer);
    let found = "";
    for (let i = 0; i < bytes.length; i += 8192) found += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(found);
  };
  const rate = __voice.session.audio.context.sampleRate;
  return { rate, stops: kept.stops, mic: text(kept.mic), out: text(kept.out) };
}"""


def microphone(path: Path, rounds: int) -> float:
    """Write what is said; its length in seconds. Needs espeak-ng."""
    parts: list[npt.NDArray[np.int16]] = []
    for number in range(rounds):
        parts += [_silence(LEAD_S), question(number), _silence(OVER_AFTER_S)]
        parts += [question(number + len(QUESTIONS) // 2), _silence(REST_S)]
    said = np.concatenate(parts)
    soundfile.write(path, said, RATE)
    return len(said) / RATE


def _silence(seconds: float) -> npt.NDArray[np.int16]:
    return (np.random.default_rng(0).standard_normal(round(seconds * RATE)) * 8).astype(np.int16)


def measure_browser(product: Product, rounds: int) -> dict[str, Any]:
    """`rounds` questions, each spoken over: end of speech to first audible answer, speech over it to silence."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        raise RuntimeError("no Chromium found; install it (make setup-test does)")
    with tempfile.TemporaryDirectory(prefix="bench-browser-") as folder, sync_playwright() as playwright:
        said = Path(folder) / "said.wav"
        seconds = microphone(said, rounds)
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream"]
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={said}%noloop"]
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=flags)
        try:
            page = browser.new_page()
            page.goto(product.origin + "/")
            page.keyboard.press("Space")
            page.locator('#stage[data-phase="listening"], #stage[data-phase="speaking"]').first.wait_for(timeout=60_000)
            page.evaluate(_RECORD)
            page.wait_for_timeout(1000 * (seconds + 2.0))
            taken = page.evaluate(_TAKE)
        finally:
            browser.close()
    return figures(_samples(taken["mic"]), _samples(taken["out"]), taken["rate"], taken["stops"])


def figures(mic: Audio, out: Audio, rate: float, stops: list[int]) -> dict[str, Any]:
    """Times in ms from both recordings; `stops`: how many samples had been recorded when the page was told to fall
    silent, up to two blocks of 512 too few.
    """
    said, rendered = utterances(mic, rate), utterances(out, rate)
    answers, silences, after_stop, unanswered = [], [], [], 0
    for number, (start, end) in enumerate(said):
        over = [piece for piece in rendered if piece[0] < start < piece[1]]
        if over and number:
            silences.append(1000 * (over[0][1] - start))
            told = [at / rate for at in stops if start < at / rate < over[0][1] + 0.05]
            after_stop += [1000 * max(0.0, over[0][1] - told[-1])] if told else []
            continue
        first = next((piece[0] for piece in rendered if piece[0] > end), None)
        following = said[number + 1][0] if number + 1 < len(said) else len(mic) / rate
        if first is None or first > following:
            unanswered += 1
        else:
            answers.append(1000 * (first - end))
    return {
        "speech_end_to_answer_ms": {**percentiles(answers), "count": len(answers)},
        "speech_over_to_silence_ms": {**percentiles(silences), "count": len(silences)},
        "told_to_silence_ms": {**percentiles(after_stop), "count": len(after_stop)},
        "unanswered": unanswered,
    }


def utterances(audio: Audio, rate: float) -> list[tuple[float, float]]:
    """Where there is sound, (start, end) in s."""
    loud = np.flatnonzero(np.abs(audio) > LOUD) / rate
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > GAP_S)
    starts, ends = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(loud) - 1]])
    return [(float(loud[s]), float(loud[e])) for s, e in zip(starts, ends, strict=True) if loud[e] - loud[s] > 0.05]


def _samples(text: str) -> Audio:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
