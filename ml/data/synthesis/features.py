"""Numbers of a clip, heard from its samples alone: pitch, energy, tempo, pauses, spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from ml.data.synthesis.types import SAMPLE_RATE, Audio

Array = NDArray[np.float64]
_HOP = 160
_WINDOW = 640
_MELS, _MFCC = 32, 16
_PEAK_GAP = 7
"""Frames: two syllables are at least 70 ms apart."""


@dataclass(frozen=True)
class Heard:
    """What the table shows for one clip."""

    pitch_hz: float
    """Median of the voiced frames."""
    pitch_range: float
    """Semitones between the 10th and the 90th percentile."""
    energy_db: float
    """RMS of the frames within 30 dB of the loudest, dBFS."""
    syllables_per_second: float
    """Peaks of the voiced energy over the clip's length, laughter and fillers included."""
    pause_share: float
    seconds: float


def frames_of(audio: Audio, width: int = _WINDOW) -> Array:
    """[frames, width] every 10 ms."""
    padded = np.pad(audio.astype(np.float64), (width // 2, width // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::_HOP]


def pitch_track(audio: Audio, low: float = 65.0, high: float = 500.0) -> tuple[Array, Array]:
    """F0 in Hz and its strength 0 to 1, every 10 ms: autocorrelation over the window's own (Boersma 1993)."""
    window = np.hanning(_WINDOW)
    size = 2048
    own = fft.irfft(np.abs(fft.rfft(window, size)) ** 2)
    frames = frames_of(audio)
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    auto = fft.irfft(np.abs(fft.rfft(frames, size)) ** 2)
    first, last = int(SAMPLE_RATE / high), int(SAMPLE_RATE / low)
    lags = np.arange(first, last)
    ratio = auto[:, first:last] / (auto[:, :1] + 1e-9) / (own[first:last] / own[0])
    ratio = ratio * (1.0 - 0.012 * np.log2(lags / first))  # of equals, the higher pitch
    best = np.argmax(ratio, axis=1)
    strength = np.clip(ratio[np.arange(len(ratio)), best], 0.0, 1.0)
    hertz = SAMPLE_RATE / lags[best]
    return signal.medfilt(hertz, 5), strength


@lru_cache(maxsize=1)
def _mel_bank() -> Array:
    hertz = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    mel = 2595 * np.log10(1 + hertz / 700)
    nodes = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7800 / 700), _MELS + 2)
    up = (mel[:, None] - nodes[:-2]) / (nodes[1:-1] - nodes[:-2])
    down = (nodes[2:] - mel[:, None]) / (nodes[2:] - nodes[1:-1])
    return np.maximum(0.0, np.minimum(up, down))


@dataclass(frozen=True)
class Analysis:
    """One clip in frames of 10 ms, computed once for everything below."""

    hertz: Array
    strength: Array
    """Periodicity, 0 to 1."""
    decibels: Array
    """Frame energy, dBFS."""
    power: Array
    """Power spectrum [frames, 257]."""
    seconds: float

    @property
    def active(self) -> NDArray[np.bool_]:
        """Frames within 30 dB of the loudest."""
        return self.decibels > self.decibels.max() - 30

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Loud and periodic frames; the active ones where there are none."""
        found = (self.strength > 0.5) & (self.decibels > self.decibels.max() - 25)
        return found if found.any() else self.active


def analyse_audio(audio: Audio) -> Analysis:
    """Frames of ``audio`` (float32 [T], 16 kHz)."""
    hertz, strength = pitch_track(audio)
    count = len(hertz)
    decibels = 10 * np.log10(np.mean(frames_of(audio) ** 2, axis=1) + 1e-10)[:count]
    power = np.abs(fft.rfft(frames_of(audio, 400) * np.hamming(400), 512)) ** 2
    return Analysis(hertz, strength, decibels, power[:count], len(audio) / SAMPLE_RATE)


def mfcc(power: Array) -> Array:
    """[frames, 16] cepstral coefficients of 32 mel bands."""
    return fft.dct(np.log(power @ _mel_bank() + 1e-7), norm="ortho")[:, :_MFCC]


def heard(clip: Analysis) -> Heard:
    """The table's numbers."""
    voiced, active = clip.voiced, clip.active
    tones = 12 * np.log2(clip.hertz[voiced])
    return Heard(
        float(np.median(clip.hertz[voiced])),
        float(np.percentile(tones, 90) - np.percentile(tones, 10)),
        _loudness(clip.decibels[active]),
        len(_peaks(clip.decibels, voiced)) / clip.seconds,
        float(1 - active.mean()),
        clip.seconds,
    )


def _loudness(decibels: Array) -> float:
    return float(10 * np.log10(np.mean(10 ** (decibels / 10))))


def _peaks(decibels: Array, voiced: NDArray[np.bool_]) -> NDArray[np.int64]:
    smooth = np.convolve(np.where(voiced, decibels, decibels.min()), np.hanning(7) / 3.0, mode="same")
    return signal.find_peaks(smooth, distance=_PEAK_GAP, prominence=1.5)[0]


_SHARES = ((80, 500), (500, 1500), (1500, 3500), (3500, 7500))


def prosody_features(clip: Analysis) -> Array:
    """28 numbers on pitch, energy, rhythm and voice quality: what an emotion changes."""
    voiced, active, decibels = clip.voiced, clip.active, clip.decibels
    tones = 12 * np.log2(clip.hertz[voiced] / 100.0)
    place = np.flatnonzero(voiced) / max(len(voiced) - 1, 1)
    slope = np.polyfit(place, tones, 1)[0] if len(tones) > 4 else 0.0
    steps = np.abs(np.diff(tones))
    steps = steps[steps < 6] if (steps < 6).any() else np.zeros(1)
    peaks = _peaks(decibels, voiced)
    gaps = np.diff(peaks) * 0.01 if len(peaks) > 2 else np.array([0.3, 0.3])
    edges = np.diff(np.concatenate(([0], voiced.astype(int), [0])))
    runs = (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)) * 0.01
    third = max(len(tones) // 3, 1)
    tail = tones[-max(len(tones) // 10, 3) :]
    loud = clip.power[voiced].mean(axis=0)
    bins = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    share = [10 * np.log10(loud[(bins >= low) & (bins < high)].mean() + 1e-12) for low, high in _SHARES]
    return np.array(
        [
            np.median(tones), tones.std(), *np.percentile(tones, (5, 25, 75, 95)), slope,
            tones[:third].mean() - tones[-third:].mean(), tail.mean() - np.median(tones), tail[-1] - tail[0],
            steps.mean(), np.percentile(steps, 90),
            decibels[active].mean(), decibels[active].std(), _loudness(decibels[active]),
            1 - active.mean(), voiced.mean(), len(peaks) / clip.seconds,
            gaps.mean(), gaps.std(), np.percentile(gaps, 90), runs.mean(), runs.max(), runs.std(),
            share[1] - share[0], share[2] - share[0], share[3] - share[0], clip.strength[voiced].mean(),
        ],
        dtype=np.float64,
    )  # fmt: skip


def timbre_features(clip: Analysis) -> Array:
    """Mean and deviation of the MFCC of active frames (without the level) and of log pitch: who speaks."""
    loud = mfcc(clip.power[clip.active])
    tones = np.log2(clip.hertz[clip.voiced])
    return np.concatenate((loud.mean(axis=0)[1:], loud.std(axis=0), [np.median(tones), tones.std()]))
