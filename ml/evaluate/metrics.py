"""Speech quality metrics. Signals are mono float32 at 16 kHz, reference and estimate aligned and of one length."""

from __future__ import annotations

import functools
import importlib
import math
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.dnsmos import dnsmos
from ml.audio.io import SAMPLE_RATE, Samples
from ml.codec.losses import mel_distance


class MetricUnavailableError(RuntimeError):
    """A measuring package is not installed; the message says how to get it."""


def _tool(name: str) -> ModuleType:
    # pesq, pystoi and visqol belong to the development set: the product itself never measures
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MetricUnavailableError(f"package {name} is not installed; run `make setup-dev` first") from None


def snr_db(reference: Samples, estimate: Samples) -> float:
    """Signal-to-noise ratio of the waveform in dB."""
    noise = float(np.square(reference - estimate, dtype=np.float64).sum())
    signal = float(np.square(reference, dtype=np.float64).sum())
    return 10.0 * math.log10(max(signal, 1e-12) / max(noise, 1e-12))


def si_snr_db(reference: Samples, estimate: Samples) -> float:
    """Scale-invariant SNR in dB (Le Roux et al. 2019)."""
    ref = reference.astype(np.float64) - reference.mean()
    est = estimate.astype(np.float64) - estimate.mean()
    projection = ref * (est @ ref) / max(float(ref @ ref), 1e-12)
    residual = est - projection
    return 10.0 * math.log10(max(float(projection @ projection), 1e-12) / max(float(residual @ residual), 1e-12))


def pesq_wb(reference: Samples, estimate: Samples) -> float | None:
    """PESQ wideband (ITU-T P.862.2), 1.04 to 4.64; None when PESQ finds no utterance."""
    tool = _tool("pesq")
    try:
        return float(tool.pesq(SAMPLE_RATE, reference, estimate, "wb"))
    except tool.NoUtterancesError:
        return None


@functools.lru_cache(maxsize=1)
def _visqol() -> Any:
    tool = _tool("visqol")
    api = tool.VisqolApi()
    api.create(mode="speech")
    return api


def visqol_score(reference: Samples, estimate: Samples) -> float:
    """ViSQOL v3 in speech mode (Chinen et al. 2020), MOS-LQO from 1 to 5; about a second a clip."""
    signals = (x.astype(np.float64) for x in (reference, estimate))
    return float(_visqol().measure_from_arrays(*signals, sample_rate=SAMPLE_RATE).moslqo)


def dnsmos_overall(_reference: Samples, estimate: Samples) -> float:
    """DNSMOS P.835 overall (Reddy et al. 2022), 1 to 5, of the estimate alone."""
    return dnsmos(estimate, windows=2).overall


def stoi_score(reference: Samples, estimate: Samples) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), 0 to 1."""
    return float(_tool("pystoi").stoi(reference, estimate, SAMPLE_RATE, extended=False))


def log_mel_distance(reference: Samples, estimate: Samples) -> float:
    """Mean absolute log-mel difference (natural log) of `ml.codec.losses.mel_distance`."""
    return float(mel_distance(torch.from_numpy(estimate)[None], torch.from_numpy(reference)[None]))


def codebook_statistics(codes: NDArray[np.int64], size: int) -> tuple[list[float], list[float]]:
    """Per level of codes `[levels, frames]`: share of entries used, and perplexity (2 to the entropy in bits)."""
    usage, perplexity = [], []
    for level in codes:
        counts = np.bincount(level, minlength=size)
        p = counts[counts > 0] / counts.sum()
        usage.append(float((counts > 0).mean()))
        perplexity.append(float(2.0 ** -(p * np.log2(p)).sum()))
    return usage, perplexity
