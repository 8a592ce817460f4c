"""Pictures for the codec's page: rate against quality, and spectrograms of speech before and after."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE, Samples
from ml.codec.model import TeluCodec


class FigureError(RuntimeError):
    """A picture cannot be drawn; the message says what is missing."""


def _pyplot() -> Any:
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise FigureError("package matplotlib is not installed; run `make setup-dev` first") from None
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    return importlib.import_module("matplotlib.pyplot")


def draw_rates(results: list[dict[str, Any]], target: Path) -> None:
    """STOI and PESQ-WB against kbit/s for every codec of `results` (as `evaluate_codec` returns them) and Opus."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    lines = [(f"TeluCodec {r['preset']}", r["codec"]) for r in results] + [("Opus", results[0]["opus"])]
    for axis, metric, title in zip(axes, ("stoi", "pesq_wb"), ("STOI", "PESQ-WB"), strict=True):
        for label, rows in lines:
            points = sorted((row["kbps"], row[metric]) for row in rows.values())
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
        axis.set(xlabel="kbit/s", ylabel=title, xscale="log")
        axis.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["¼", "½", "1", "2", "4", "8", "16"])
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=150)
    pyplot.close(figure)


def spectrogram_db(audio: Samples, n_fft: int = 512, hop: int = 80) -> NDArray[np.float32]:
    """Power in dB, `[n_fft // 2 + 1, frames]`, of float32 audio at 16 kHz."""
    if len(audio) < n_fft:
        audio = np.pad(audio, (0, n_fft - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, n_fft)[::hop] * np.hanning(n_fft)
    power = np.square(np.abs(np.fft.rfft(frames))).T
    return (10.0 * np.log10(power + 1e-6)).astype(np.float32)


def draw_spectrograms(audio: Samples, codecs: list[TeluCodec], target: Path, seconds: float = 2.5) -> None:
    """Original above what each codec makes of it, one scale for all."""
    pyplot = _pyplot()
    audio = audio[: round(seconds * SAMPLE_RATE)]
    rows = [("original", audio)]
    with torch.inference_mode():
        for codec in codecs:
            made = codec.reconstruct(torch.from_numpy(audio)[None])[0].numpy()
            rows.append((f"{codec.config.preset}, {codec.config.kbps():g} kbit/s", made))
    figure, axes = pyplot.subplots(len(rows), 1, figsize=(9, 2.0 * len(rows)), sharex=True, layout="constrained")
    top = float(spectrogram_db(audio).max())
    for axis, (label, signal) in zip(np.atleast_1d(axes), rows, strict=True):
        axis.imshow(
            spectrogram_db(signal), origin="lower", aspect="auto", cmap="magma", vmin=top - 75, vmax=top,
            extent=(0, len(signal) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000),
        )  # fmt: skip
        axis.set_ylabel("kHz")
        axis.set_title(label, loc="left", fontsize=9)
    np.atleast_1d(axes)[-1].set_xlabel("seconds")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
