"""From one audio file to clips: decode, find speech, cut, measure, level."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ml.audio.io import SAMPLE_RATE, AudioError, stream_audio
from ml.data.ingest.types import IngestOptions
from ml.vad.segmenter import SegmenterConfig, segment
from ml.vad.silero import SileroVad

Samples = NDArray[np.float32]
BLOCK_SECONDS = 300.0
"""Audio held in memory at once, whatever the file's length."""
_JOIN_MS = 600
"""Pauses up to here stay inside a clip."""
_MARGIN_MS = 120
"""Kept before and after speech."""
_FRAME = 320
_SNR_CEILING = 60.0


@dataclass(frozen=True, slots=True)
class CutClip:
    """A stretch of speech, measured, its level as asked."""

    audio: Samples
    start: float
    """Seconds from the file's begin."""
    level_db: float
    snr_db: float
    clipped: float
    dnsmos: float | None
    why_not: str
    """Why it is left out; "" where it is good."""

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@lru_cache(maxsize=1)
def _vad() -> SileroVad:
    return SileroVad()


def cut_file(path: Path, options: IngestOptions) -> Iterator[CutClip]:
    """Every stretch of speech in a file, good or not, in order; memory stays bounded.

    Raises AudioError for a file that cannot be decoded, holds nothing, or holds no numbers.
    """
    pending = np.zeros(0, np.float32)
    offset, heard = 0, False
    limit = round(options.max_file_hours * 3600 * SAMPLE_RATE)
    blocks = stream_audio(path, block_seconds=BLOCK_SECONDS)
    while True:
        block = next(blocks, None)
        if block is not None:
            heard = heard or len(block) > 0
            if not np.isfinite(block).all():
                raise AudioError("it holds samples that are no numbers")
            pending = np.concatenate([pending, block])
        last = block is None or offset + len(pending) >= limit
        keep = yield from _cut(pending, offset, options, last)
        offset += len(pending) - keep
        pending = pending[len(pending) - keep :]
        if last:
            break
    if not heard:
        raise AudioError("it holds no samples")


def _cut(audio: Samples, offset: int, options: IngestOptions, last: bool) -> Generator[CutClip, None, int]:
    """Clips of a block; returns how many samples at its end wait for the next one (speech that may go on)."""
    if not len(audio):
        return 0
    spans = _joined(segment(_vad(), audio, SegmenterConfig(min_silence_ms=200)))
    total_ms = len(audio) * 1000 / SAMPLE_RATE
    wait_from = len(audio)
    if not last and spans and spans[-1][1] > total_ms - 1_000 and spans[-1][0] > _MARGIN_MS:
        wait_from = round((spans[-1][0] - _MARGIN_MS) * SAMPLE_RATE / 1000)
        spans = spans[:-1]
    for begin_ms, end_ms in spans:
        begin = max(0, round((begin_ms - _MARGIN_MS) * SAMPLE_RATE / 1000))
        end = min(len(audio), round((end_ms + _MARGIN_MS) * SAMPLE_RATE / 1000))
        for first, after in _pieces(audio, begin, end, options):
            yield measured(audio[first:after], (offset + first) / SAMPLE_RATE, options)
    return len(audio) - wait_from


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Speech with short pauses is one stretch."""
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and begin - found[-1][1] <= _JOIN_MS:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _pieces(audio: Samples, begin: int, end: int, options: IngestOptions) -> Iterator[tuple[int, int]]:
    """A stretch as it is, or cut where it is quietest, in the later half of what may be one clip."""
    longest = round(options.max_seconds * SAMPLE_RATE)
    while end - begin > longest:
        low, high = begin + longest // 2, begin + longest
        power = np.square(audio[low:high]).reshape(-1)
        smooth = np.convolve(power, np.ones(_FRAME) / _FRAME, "same")
        cut = low + int(np.argmin(smooth[_FRAME:-_FRAME])) + _FRAME
        yield begin, cut
        begin = cut
    if end > begin:
        yield begin, end


def measured(audio: Samples, start: float, options: IngestOptions) -> CutClip:
    """Quality of a stretch and its levelled samples."""
    level, snr = levels(audio)
    clipped = clipped_share(audio)
    dnsmos: float | None = None
    why = ""
    if len(audio) < options.min_seconds * SAMPLE_RATE:
        why = f"shorter than {options.min_seconds:g} s"
    elif clipped > options.max_clipped:
        why = f"clipped: {100 * clipped:.1f} % of its samples are at full scale"
    elif snr < options.min_snr_db:
        why = f"noisy: about {snr:.0f} dB above its noise, {options.min_snr_db:g} wanted"
    elif options.min_dnsmos is not None:
        from ml.audio.dnsmos import dnsmos as rate

        dnsmos = round(rate(audio, windows=2).overall, 3)
        if dnsmos < options.min_dnsmos:
            why = f"DNSMOS {dnsmos:.2f}, {options.min_dnsmos:g} wanted"
    levelled = audio if why else loudness_to(audio, options)
    return CutClip(levelled, round(start, 3), round(level, 2), round(snr, 2), round(clipped, 5), dnsmos, why)


def _frames(audio: Samples) -> NDArray[np.float64]:
    """Mean power of 20 ms frames."""
    usable = len(audio) // _FRAME * _FRAME
    if not usable:
        return np.array([float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0])
    power: NDArray[np.float64] = np.square(audio[:usable], dtype=np.float64).reshape(-1, _FRAME).mean(axis=1)
    return power


def levels(audio: Samples) -> tuple[float, float]:
    """(dBFS of the speech, dB that it stands above the quietest tenth), the latter at most 60.

    An estimate without a reference: loud frames are taken for speech, the quietest for noise alone.
    """
    power = _frames(audio)
    noise = float(np.quantile(power, 0.1))
    loud = power[power > max(power.max() * 1e-3, 4.0 * noise)]
    speech = float((loud if len(loud) else power).mean())
    level = 10 * np.log10(max(speech, 1e-12))
    snr = 10 * np.log10(max(speech - noise, 1e-12) / max(noise, 1e-12))
    return float(level), float(min(snr, _SNR_CEILING))


def clipped_share(audio: Samples) -> float:
    """Share of samples in runs of 3 or more at the clip's own ceiling, where that ceiling is near full scale."""
    peak = float(np.abs(audio).max(initial=0.0))
    if peak < 0.6:
        return 0.0
    at = np.abs(audio) >= 0.995 * peak
    runs = at[2:] & at[1:-1] & at[:-2]
    marked = np.zeros(len(audio), np.bool_)
    for shift in range(3):
        marked[shift : len(audio) - 2 + shift] |= runs
    return float(marked.mean())


def loudness_to(audio: Samples, options: IngestOptions) -> Samples:
    """The clip at the wanted level; peaks that would pass full scale are bent softly."""
    if options.loudness == "none":
        return audio
    now = levels(audio)[0] if options.loudness == "rms" else lufs(audio)
    gain = 10 ** (np.clip(options.level_db - now, -40.0, 40.0) / 20)
    scaled = audio * np.float32(gain)
    knee, room = 0.7, 0.29
    over = np.abs(scaled) > knee
    scaled[over] = np.sign(scaled[over]) * (knee + room * np.tanh((np.abs(scaled[over]) - knee) / room))
    return np.asarray(scaled, np.float32)


@lru_cache(maxsize=1)
def _k_weighting() -> NDArray[np.float64]:
    """ITU-R BS.1770's two filters at 16 kHz, from their analog parameters."""
    sections = []
    for kind, hz, gain_db, q in (("shelf", 1681.974, 3.999844, 0.7071752), ("high", 38.13547, 0.0, 0.5003270)):
        k = np.tan(np.pi * hz / SAMPLE_RATE)
        a0 = 1 + k / q + k * k
        a = [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
        if kind == "shelf":
            high = 10 ** (gain_db / 20)
            band = high**0.4996668
            b = [(high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0]
        else:
            b = [1.0, -2.0, 1.0]
        sections.append([*b, *a])
    return np.array(sections)


def lufs(audio: Samples) -> float:
    """Integrated loudness (ITU-R BS.1770-4) of mono audio; -70 for silence."""
    weighted = signal.sosfilt(_k_weighting(), audio.astype(np.float64))
    block, step = round(0.4 * SAMPLE_RATE), round(0.1 * SAMPLE_RATE)
    if len(weighted) < block:
        weighted = np.pad(weighted, (0, block - len(weighted)))
    power = np.array([np.mean(weighted[i : i + block] ** 2) for i in range(0, len(weighted) - block + 1, step)])
    loud = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not len(loud):
        return -70.0
    gate = 10 * np.log10(loud.mean()) - 10
    loud = loud[10 * np.log10(loud) > gate]
    return float(-0.691 + 10 * np.log10(loud.mean()))
