"""Does a phrase sound finished? From the last second before a silence: pitch, level, and how long the last sound was.

A logistic model on four features, fitted on ends and inner places of synthetic strangers' questions and of read Telugu
(Common Voice, CC0); ``docs/turn-taking.md`` has its figures. It is a hint, no judge: it only moves the wait between
its two bounds.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
FRAME = 320
_WINDOW = 640
_PITCH_HZ = (65.0, 420.0)
_VOICED = 0.45

TAIL_MS = 1_500
"""How much audio before the silence is looked at."""


@dataclass(frozen=True, slots=True)
class Prosody:
    """Features of the end of a phrase."""

    pitch_st: float
    """Pitch of its end relative to the median of the tail, semitones; falls are negative."""
    slope_st: float
    """Change of pitch over the last 200 ms of voice, semitones."""
    decay_db: float
    """How far the level of its end is below the loudest of the tail."""
    final_ms: float
    """Length of the last stretch of voice."""


def finishedness(tail: Floats) -> float:
    """0 (goes on) to 1 (finished) for audio [n] at 16 kHz that ends where the silence began."""
    return probability_of(features(tail))


def probability_of(prosody: Prosody | None) -> float:
    """The model's word; 0.5 where there is too little voice to tell."""
    if prosody is None:
        return 0.5
    score = _BIAS
    for value, weight, mean, scale in zip(astuple(prosody), _WEIGHTS, _MEANS, _SCALES, strict=True):
        score += weight * max(-3.0, min(3.0, (value - mean) / scale))
    return 1.0 / (1.0 + math.exp(-score))


def features(tail: Floats) -> Prosody | None:
    """Features of the tail, or None when it holds less than 100 ms of voice."""
    frames = max(0, (len(tail) - _WINDOW) // FRAME + 1)
    if frames < 5:
        return None
    starts = len(tail) - _WINDOW - FRAME * np.arange(frames - 1, -1, -1)
    windows = np.stack([tail[s : s + _WINDOW] for s in starts]).astype(np.float64)
    windows -= windows.mean(axis=1, keepdims=True)
    level = 10 * np.log10(np.mean(windows**2, axis=1) + 1e-9)
    peak = float(level.max())
    pitch = _pitch_st(windows)
    voiced = np.isfinite(pitch) & (level > peak - 30.0)
    at = np.flatnonzero(voiced)
    if len(at) < 5:
        return None
    last = at[-min(len(at), 5) :]
    recent = at[at > at[-1] - 10]
    slope = float(np.polyfit(recent, pitch[recent], 1)[0] * 10) if len(recent) >= 4 else 0.0
    run = 1
    while run < len(at) and at[-run] - at[-run - 1] <= 2:
        run += 1
    return Prosody(
        pitch_st=float(np.median(pitch[last]) - np.median(pitch[at])),
        slope_st=max(-12.0, min(12.0, slope)),
        decay_db=float(peak - level[last].mean()),
        final_ms=20.0 * run,
    )


def _pitch_st(windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pitch in semitones re 100 Hz of each window [n, 640]; NaN where it is not voiced. By autocorrelation."""
    best, lag = _periodicity(windows)
    pitch = 12 * np.log2(SAMPLE_RATE / lag / 100.0)
    return np.where(best >= _VOICED, pitch, np.nan)


def pitched(tail: Floats) -> bool:
    """Whether the last 40 ms have the periodicity of a voice: noise, a cough and a door do not."""
    if len(tail) < _WINDOW:
        return False
    window = tail[None, -_WINDOW:].astype(np.float64)
    best, _ = _periodicity(window - window.mean())
    return bool(best[0] >= _VOICED)


_SHAPE = np.hanning(_WINDOW)
_SHAPE_AUTO = np.fft.irfft(np.abs(np.fft.rfft(_SHAPE, 2 * _WINDOW)) ** 2, 2 * _WINDOW)[:_WINDOW]


def _periodicity(windows: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Highest normalised autocorrelation of each window [n, 640] within the range of pitch, and its lag."""
    size = 2 * _WINDOW
    spectrum = np.fft.rfft(windows * _SHAPE, size)
    auto = np.fft.irfft(np.abs(spectrum) ** 2, size)[:, :_WINDOW]
    low, high = int(SAMPLE_RATE / _PITCH_HZ[1]), int(SAMPLE_RATE / _PITCH_HZ[0])
    normal = auto[:, low:high] / np.maximum(auto[:, :1], 1e-9) / (_SHAPE_AUTO[low:high] / _SHAPE_AUTO[0])
    best = normal.max(axis=1)
    # The shortest lag almost as good as the best: else every second voice is heard an octave too low.
    return best, low + np.argmax(normal >= 0.9 * best[:, None], axis=1)


# In the order of the fields of `Prosody`.
_BIAS = 0.0
_WEIGHTS = (-1.257, 0.089, 0.426, -0.174)
_MEANS = (-0.93, -0.51, 9.34, 444.9)
_SCALES = (2.31, 4.79, 3.31, 365.2)
