"""What right levels are worth: a codec's output with the energy of each band set to the original's.

No decoder can do this, since it does not have the original. It says how much of what is heard is wrong levels, and so
what a codebook of levels (`ml.codec.levels`) can earn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ml.audio.io import read_audio
from ml.codec.losses import mel_distance, mel_filters
from ml.codec.model import TeluCodec
from ml.evaluate import metrics

_N_FFT, _HOP = 512, 128  # 32 ms every 8 ms


def set_right(decoded: Tensor, original: Tensor, bands: int, sample_rate: int = 16_000) -> Tensor:
    """`decoded` `[B, T]` with the energy of each of `bands` mel bands, every 8 ms, as in `original`; phases stay."""
    filters = mel_filters(_N_FFT, bands, sample_rate)
    shares = filters / (filters.sum(1, keepdim=True) + 1e-9)
    window = torch.hann_window(_N_FFT)
    ours, theirs = (torch.stft(x, _N_FFT, _HOP, window=window, return_complex=True) for x in (decoded, original))
    energies = (filters.T @ spectrum.abs().square() + 1e-7 for spectrum in (theirs, ours))
    wanted, found = energies
    gain = shares @ (wanted / found).sqrt().log().clamp(-2.3, 2.3)  # 20 dB each way
    gain = torch.where((shares.sum(1) > 0.5)[:, None], gain.exp(), torch.ones(()))
    return torch.istft(ours * gain, _N_FFT, _HOP, window=window, length=original.shape[-1])


def levels_worth(
    codec: TeluCodec,
    paths: list[Path],
    *,
    bands: tuple[int, ...] = (20, 30, 40),
    progress: Callable[[list[Path]], Any] = iter,
) -> dict[str, dict[str, float]]:
    """Mean SNR, PESQ-WB, STOI and mel distance: as decoded, without the codebook of levels, with levels set right.

    Files in which PESQ finds no utterance are left out.
    """
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    for path in progress(paths):
        audio = read_audio(path)
        original = torch.from_numpy(audio)[None]
        with torch.inference_mode():
            codes = codec.encode(original)
            waveform = codec.config.waveform_quantizers
            bare = codec.decode(codes, waveform)[:, : len(audio)]
            variants = {f"waveform alone ({waveform} codebooks)": bare}
            if codec.config.level_bands:
                variants["with its levels (all codebooks)"] = codec.decode(codes)[:, : len(audio)]
            variants |= {f"{n} bands set right": set_right(bare, original, n) for n in bands}
        for name, decoded in variants.items():
            heard = decoded[0].numpy()
            if (pesq := metrics.pesq_wb(audio, heard)) is None:
                continue
            rows.setdefault(name, []).append(
                (
                    metrics.snr_db(audio, heard),
                    pesq,
                    metrics.stoi_score(audio, heard),
                    float(mel_distance(decoded, original)),
                )
            )
    names = ("snr_db", "pesq_wb", "stoi", "mel_distance")
    return {
        name: {
            key: round(sum(column) / len(values), 3)
            for key, column in zip(names, zip(*values, strict=True), strict=True)
        }
        for name, values in rows.items()
    }
