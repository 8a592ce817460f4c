"""Codec against Opus on the same files in the same run: `python -m ml evaluate codec`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import AudioError, Samples, read_audio
from ml.codec.adapters import AdaptedCodec
from ml.codec.model import TeluCodec
from ml.evaluate import metrics
from ml.evaluate.opus import opus_round_trip

_METRICS: dict[str, Callable[[Samples, Samples], float | None]] = {
    "snr_db": metrics.snr_db,
    "si_snr_db": metrics.si_snr_db,
    "pesq_wb": metrics.pesq_wb,
    "stoi": metrics.stoi_score,
    "mel_distance": metrics.log_mel_distance,
}
_SLOW_METRICS: dict[str, Callable[[Samples, Samples], float | None]] = {
    "visqol": metrics.visqol_score,
    "dnsmos": metrics.dnsmos_overall,
}
"""About a second a clip: measured of whole codecs only, not of every number of codebooks."""


class _Mean:
    """Running lists per metric, averaged over the files that have a value."""

    def __init__(self, measures: dict[str, Callable[[Samples, Samples], float | None]]) -> None:
        self.measures = measures
        self.values: dict[str, list[float]] = {}

    def add(self, reference: Samples, estimate: Samples) -> None:
        for name, measure in self.measures.items():
            value = measure(reference, estimate)
            if value is not None:
                self.values.setdefault(name, []).append(value)

    def result(self) -> dict[str, float]:
        return {name: round(statistics.fmean(values), 4) for name, values in self.values.items()}


def evaluate_codec(
    codec: TeluCodec | AdaptedCodec,
    paths: list[Path],
    *,
    quantizers: tuple[int, ...],
    opus_kbps: tuple[float, ...] = (6.0, 16.0),
    slow: bool = True,
    progress: Callable[[list[Path]], Any] = iter,
) -> dict[str, Any]:
    """Mean metrics over `paths` per number of codebooks, codebook statistics, and Opus beside them.

    `slow` adds ViSQOL and DNSMOS of the codec with all its codebooks, of Opus, and DNSMOS of the originals. Codebook
    perplexity comes twice: of all frames, and of those within 40 dB of their file's loudest (pauses need few codes).
    Files shorter than half a second and files that cannot be read are left out and counted.
    """
    config = codec.config
    full = _METRICS | (_SLOW_METRICS if slow else {})
    ours = {n: _Mean(full if n == max(quantizers) else _METRICS) for n in quantizers}
    opus = {rate: _Mean(full) for rate in opus_kbps}
    original = _Mean({"dnsmos": metrics.dnsmos_overall} if slow else {})
    real_rates: dict[float, list[float]] = {rate: [] for rate in opus_kbps}
    all_codes, loud, seconds, left_out = [], [], 0.0, []
    for path in progress(paths):
        try:
            audio = read_audio(path)
        except AudioError as error:
            left_out.append(str(error))
            continue
        if len(audio) < config.sample_rate // 2:
            left_out.append(f"{path} is shorter than half a second")
            continue
        seconds += len(audio) / config.sample_rate
        with torch.inference_mode():
            codes = codec.encode(torch.from_numpy(audio)[None])
            all_codes.append(codes[0].numpy())
            loud.append(_loud_frames(audio, codes.shape[2]))
            for n, mean in ours.items():
                mean.add(audio, codec.decode(codes, n)[0, : len(audio)].numpy())
        original.add(audio, audio)
        for rate, mean in opus.items():
            decoded, used = opus_round_trip(audio, rate)
            real_rates[rate].append(used)
            mean.add(audio, decoded)
    if not all_codes:
        raise AudioError(f"none of the {len(paths)} files could be measured: {left_out[:2]}")
    codes_of_all = np.concatenate(all_codes, axis=1)
    usage, perplexity = metrics.codebook_statistics(codes_of_all, config.codebook_size)
    _, in_speech = metrics.codebook_statistics(codes_of_all[:, np.concatenate(loud)], config.codebook_size)
    return {
        "preset": config.preset,
        "n": len(all_codes),
        "seconds": round(seconds, 1),
        "left_out": left_out,
        "codec": {str(n): {"kbps": config.kbps(n), **mean.result()} for n, mean in ours.items()},
        "codebook_usage": [round(u, 4) for u in usage],
        "codebook_perplexity": [round(p, 1) for p in perplexity],
        "codebook_perplexity_in_speech": [round(p, 1) for p in in_speech],
        "frames": codes_of_all.shape[1],
        "original": original.result(),
        "opus": {
            f"{rate:g}": {"kbps": round(statistics.fmean(real_rates[rate]), 2), **mean.result()}
            for rate, mean in opus.items()
        },
    }


def _loud_frames(audio: Samples, frames: int) -> NDArray[np.bool_]:
    """Which of `frames` equal parts of `audio` are within 40 dB of the loudest."""
    parts = np.array_split(audio.astype(np.float64), frames)
    power = np.array([np.square(part).mean() if part.size else 0.0 for part in parts])
    loud: NDArray[np.bool_] = power > power.max() * 1e-4
    return loud
