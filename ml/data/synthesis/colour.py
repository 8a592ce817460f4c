"""Timbre on finished audio: vocal-tract length, equaliser, tilt, aspiration, level. Pure signal processing."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ml.data.synthesis.types import SAMPLE_RATE, Audio

LEVEL_DB = -21.0
"""Active RMS of a neutral clip in dBFS."""
_CEILING = 0.92
_KNEE = 0.60


def formant_ratio(factor: float) -> Fraction:
    """``factor`` as a ratio of small numbers, so that resampling stays cheap."""
    return Fraction(round(factor * 50), 50)


def shorten_tract(audio: Audio, ratio: Fraction) -> Audio:
    """Play ``ratio`` times faster: formants, pitch and tempo all rise by it (the engine was asked for the inverse)."""
    if ratio == 1:
        return audio
    return signal.resample_poly(audio, ratio.denominator, ratio.numerator).astype(np.float32)


Sections = NDArray[np.float64]


def _peak(hz: float, gain_db: float, q: float) -> list[float]:
    """Second-order peaking section (R. Bristow-Johnson's cookbook)."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * hz / SAMPLE_RATE
    alpha = np.sin(w) / (2 * q)
    b0, b1, b2 = 1 + alpha * a, -2 * np.cos(w), 1 - alpha * a
    a0, a1, a2 = 1 + alpha / a, -2 * np.cos(w), 1 - alpha / a
    return [b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]


def _shelf(hz: float, gain_db: float, high: bool) -> list[float]:
    """Second-order shelf with slope 0.5 (same source)."""
    a, w = 10 ** (gain_db / 40), 2 * np.pi * hz / SAMPLE_RATE
    alpha = np.sin(w) / 2 * np.sqrt((a + 1 / a) * (1 / 0.5 - 1) + 2)
    cos, root, sign = np.cos(w), 2 * np.sqrt(a) * alpha, -1.0 if high else 1.0
    b0 = a * ((a + 1) - sign * (a - 1) * cos + root)
    b1 = sign * 2 * a * ((a - 1) - sign * (a + 1) * cos)
    b2 = a * ((a + 1) - sign * (a - 1) * cos - root)
    a0 = (a + 1) + sign * (a - 1) * cos + root
    a1 = -sign * 2 * ((a - 1) + sign * (a + 1) * cos)
    a2 = (a + 1) + sign * (a - 1) * cos - root
    return [b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]


@lru_cache(maxsize=512)
def filters(eq: tuple[tuple[float, float, float], ...], tilt_db: float, low_cut_hz: float) -> Sections:
    """Sections of a low cut, the peaks of ``eq`` and a high shelf at 1.5 kHz of ``tilt_db``."""
    rows = [list(row) for row in signal.butter(2, low_cut_hz, "highpass", fs=SAMPLE_RATE, output="sos")]
    rows += [_peak(*band) for band in eq]
    if abs(tilt_db) > 0.05:
        rows.append(_shelf(1500.0, tilt_db, high=True))
    return np.array(rows, dtype=np.float64)


def equalise(audio: Audio, sections: Sections) -> Audio:
    """Filter once, forwards."""
    return signal.sosfilt(sections, audio).astype(np.float32)


@lru_cache(maxsize=1)
def _noise_band() -> Sections:
    return signal.butter(2, (1800.0, 6500.0), "bandpass", fs=SAMPLE_RATE, output="sos")


@lru_cache(maxsize=1)
def _follower() -> Sections:
    return signal.butter(1, 45.0, "lowpass", fs=SAMPLE_RATE, output="sos")


def aspirate(audio: Audio, amount: float, rng: np.random.Generator) -> Audio:
    """Add breath: high-passed noise under the speech's own envelope; ``amount`` 1 is a stage whisper's share."""
    if amount <= 0.01:
        return audio
    noise = signal.sosfilt(_noise_band(), rng.standard_normal(len(audio), dtype=np.float32))
    envelope = signal.sosfilt(_follower(), np.abs(audio))
    return (audio + 0.55 * amount * envelope * noise).astype(np.float32)


def active_rms(audio: Audio) -> float:
    """RMS of the 20 ms frames within 30 dB of the loudest; 0 for silence."""
    usable = len(audio) // 320 * 320
    if not usable:
        return float(np.sqrt(np.mean(audio**2))) if len(audio) else 0.0
    power = np.mean(audio[:usable].reshape(-1, 320).astype(np.float64) ** 2, axis=1)
    loud = power[power > power.max() * 1e-3]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def level(audio: Audio, decibels: float) -> Audio:
    """Bring the active RMS to ``decibels`` dBFS; peaks above a knee are bent, never clipped."""
    rms = active_rms(audio)
    if rms <= 1e-6:
        return audio
    scaled = audio * np.float32(10 ** (decibels / 20) / rms)
    over = np.abs(scaled) > _KNEE
    if over.any():
        room = _CEILING - _KNEE
        bent = _KNEE + room * np.tanh((np.abs(scaled[over]) - _KNEE) / room)
        scaled[over] = np.sign(scaled[over]) * bent
    return scaled.astype(np.float32)


def fade(audio: Audio, seconds: float = 0.008) -> Audio:
    """Raised-cosine ends against clicks, in place."""
    n = min(int(seconds * SAMPLE_RATE), len(audio) // 2)
    if n:
        ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)).astype(np.float32)
        audio[:n] *= ramp
        audio[-n:] *= ramp[::-1]
    return audio
