"""What more bits would buy: the measured curve of SNR over bit rate, and three ways of reading on from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ml.audio.io import read_audio
from ml.codec.model import TeluCodec
from ml.evaluate.metrics import snr_db

DB_PER_BIT = 6.0206
"""Of SNR for each further bit a sample, once every component is coded: 20 log10 2."""


class RateError(ValueError):
    """A curve that says nothing; the message says what is missing."""


@dataclass(frozen=True)
class RateCurve:
    """A measured curve and what follows from it. Rates in kbit/s, SNR in dB."""

    steps: list[tuple[float, float, float]]
    """From rate, to rate, dB gained for each kbit/s between them."""
    ceiling_db: float
    """Where `ceiling_db - b * 2 ** (-rate / halving_kbps)`, fitted to the curve, ends with bits without limit."""
    halving_kbps: float
    """Further rate that halves the distance to the ceiling."""
    fit_error_db: float
    """Largest distance of the fit from a measured point."""
    db_per_doubling: float
    """Of a straight line through the points over the logarithm of the rate."""
    last_db_per_doubling: float
    """The same for the last two points alone."""
    last_kbps: float
    """Rate of the last point."""
    last_db: float
    """SNR of the last point."""

    def kbps_by_doubling(self, snr_db: float, db_per_doubling: float) -> float:
        """Rate for `snr_db` if every doubling of the rate brought `db_per_doubling`."""
        return float(self.last_kbps * 2.0 ** ((snr_db - self.last_db) / db_per_doubling))

    def kbps_by_bits(self, snr_db: float, sample_rate: int = 16_000) -> float:
        """Rate for `snr_db` if every further bit a sample brought its whole 6 dB."""
        return self.last_kbps + (snr_db - self.last_db) / DB_PER_BIT * sample_rate / 1000.0


def rate_curve(points: list[tuple[float, float]]) -> RateCurve:
    """Read a curve of (kbit/s, SNR dB). Raises RateError with fewer than four points: three would fit anything."""
    if len(points) < 4:
        raise RateError(f"a rate curve needs at least four numbers of codebooks, got {len(points)}; measure more")
    kbps, snr = (np.array(column, np.float64) for column in zip(*sorted(points), strict=True))
    steps = [
        (float(a), float(b), float(d)) for a, b, d in zip(kbps, kbps[1:], np.diff(snr) / np.diff(kbps), strict=False)
    ]
    fits = []
    for halving in np.geomspace(0.01, 5.0, 600) * kbps[-1]:  # linear in the other two, so a search of one suffices
        basis = np.stack([np.ones_like(kbps), -(2.0 ** (-kbps / halving))], axis=1)
        weights, *_ = np.linalg.lstsq(basis, snr, rcond=None)
        off = np.abs(basis @ weights - snr)
        fits.append((float(np.square(off).sum()), float(weights[0]), float(halving), float(off.max())))
    _, ceiling, halving_kbps, worst = min(fits)
    octaves = np.log2(kbps)
    return RateCurve(
        steps=steps,
        ceiling_db=ceiling,
        halving_kbps=halving_kbps,
        fit_error_db=worst,
        db_per_doubling=float(np.polyfit(octaves, snr, 1)[0]),
        last_db_per_doubling=float((snr[-1] - snr[-2]) / (octaves[-1] - octaves[-2])),
        last_kbps=float(kbps[-1]),
        last_db=float(snr[-1]),
    )


def unquantized_snr_db(codec: TeluCodec, paths: list[Path], progress: Callable[[list[Path]], Any] = iter) -> float:
    """Mean SNR of `paths` through encoder and decoder without codebooks: the bound that no number of them passes."""
    hop, delay = codec.config.hop, codec.config.delay_samples
    values = []
    for path in progress(paths):
        audio = read_audio(path)
        padded = functional.pad(torch.from_numpy(audio)[None], (0, delay + -(len(audio) + delay) % hop))
        with torch.inference_mode():
            made = codec(padded, False).audio[0, delay : delay + len(audio)]
        values.append(snr_db(audio, made.numpy()))
    return statistics.fmean(values)
