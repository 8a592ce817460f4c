"""Pictures for the codec's page: rate against quality, and spectrograms of speech before and after."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE, Samples
from ml.codec.checkpoint import read_card
from ml.codec.model import TeluCodec

_RANGE_DB = 75.0
"""What a spectrogram shows below its loudest point."""
_DIFFERENCE_DB = 30.0
"""Where the colours of a difference end."""
_COLOURS = 128
"""Of a picture with spectrograms: a palette makes the file a third. Far fewer merge the ends of the two colour maps."""


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


def measured_of_cards(weights: Path, measured: str) -> list[dict[str, Any]]:
    """What the model cards in `weights` say of test set `measured`, a row a codec, as `evaluate_codec` returns them.

    Raises FigureError when no codec was measured on it.
    """
    cards = [read_card(path) for path in sorted(weights.glob("codec-*.safetensors"))]
    results = [{"preset": c["preset"], **c["metrics"][measured]} for c in cards if measured in c.get("metrics", {})]
    if not results:
        raise FigureError(f"no card in {weights} was measured on {measured}; run `python -m ml evaluate codec --card`")
    return results


def draw_rates(results: list[dict[str, Any]], target: Path) -> None:
    """SNR, STOI and PESQ-WB against kbit/s for every codec of `results` (as of `evaluate_codec`) and Opus."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(1, 3, figsize=(9.6, 3.2), layout="constrained")
    lines = [(f"TeluCodec {r['preset']}", r["codec"]) for r in results] + [("Opus", results[0]["opus"])]
    for axis, metric, title in zip(axes, ("snr_db", "stoi", "pesq_wb"), ("SNR dB", "STOI", "PESQ-WB"), strict=True):
        for colour, (label, rows) in enumerate(lines):
            points = sorted((row["kbps"], row[metric]) for row in rows.values())
            if metric == "snr_db" and points[-1][1] < 0:
                continue  # a codec that makes its own phase: its SNR says nothing
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label, color=f"C{colour}")
        axis.set(xlabel="kbit/s", ylabel=title, xscale="log")
        axis.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["¼", "½", "1", "2", "4", "8", "16"])
        axis.minorticks_off()
        axis.set_xlim(0.22, 18)
        axis.grid(alpha=0.25)
    axes[0].legend(*axes[1].get_legend_handles_labels(), frameon=False, loc="upper left")
    _save(pyplot, figure, target, dpi=120)


def spectrogram_db(audio: Samples, n_fft: int = 512, hop: int = 80) -> NDArray[np.float32]:
    """Power in dB, `[n_fft // 2 + 1, frames]`, of float32 audio at 16 kHz."""
    if len(audio) < n_fft:
        audio = np.pad(audio, (0, n_fft - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, n_fft)[::hop] * np.hanning(n_fft)
    power = np.square(np.abs(np.fft.rfft(frames))).T
    return (10.0 * np.log10(power + 1e-6)).astype(np.float32)


def spectrogram_rows(audio: Samples, codecs: list[TeluCodec]) -> list[tuple[str, NDArray[np.float32], bool]]:
    """Titles, spectrograms in dB and whether they are differences: original, each codec, what each one changed.

    Differences are of levels, not of waveforms (a codec that makes its own phase has another waveform by right), with
    everything below the shown range taken for silence.
    """
    original = spectrogram_db(audio)
    floor = float(original.max()) - _RANGE_DB
    rows, changed = [("original", original, False)], []
    with torch.inference_mode():
        for codec in codecs:
            made = spectrogram_db(codec.reconstruct(torch.from_numpy(audio)[None])[0].numpy())
            name = codec.config.preset
            rows.append((f"{name}, {codec.config.kbps():g} kbit/s", made, False))
            difference = np.maximum(made, floor) - np.maximum(original, floor)
            changed.append((f"{name} less original", difference, True))
    return rows + changed


def draw_spectrograms(audio: Samples, codecs: list[TeluCodec], target: Path, seconds: float = 2.5) -> None:
    """Original above what each codec makes of it, one scale for all, and below by how many dB they differ."""
    pyplot = _pyplot()
    audio = audio[: round(seconds * SAMPLE_RATE)]
    rows = spectrogram_rows(audio, codecs)
    figure, axes = pyplot.subplots(len(rows), 1, figsize=(8, 1.55 * len(rows)), sharex=True, layout="constrained")
    top = float(rows[0][1].max())
    for axis, (label, levels, difference) in zip(np.atleast_1d(axes), rows, strict=True):
        low, high = (-_DIFFERENCE_DB, _DIFFERENCE_DB) if difference else (top - _RANGE_DB, top)
        image = axis.imshow(
            levels, origin="lower", aspect="auto", cmap="RdBu_r" if difference else "magma", vmin=low, vmax=high,
            extent=(0, len(audio) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000),
        )  # fmt: skip
        figure.colorbar(image, ax=axis, pad=0.01, label="dB")
        axis.set_ylabel("kHz")
        axis.set_title(label, loc="left", fontsize=9)
    np.atleast_1d(axes)[-1].set_xlabel("seconds")
    _save(pyplot, figure, target, dpi=90, colours=_COLOURS)


def _save(pyplot: Any, figure: Any, target: Path, dpi: int, colours: int = 0) -> None:
    """Write `figure` as PNG, with a palette of `colours` if any, and forget it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png", metadata={"Software": None})  # equal pictures are equal files
    pyplot.close(figure)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not colours:
        target.write_bytes(drawn.getvalue())
        return
    image = importlib.import_module("PIL.Image")  # comes with matplotlib
    with image.open(drawn) as picture:
        picture.convert("RGB").quantize(colours, method=image.Quantize.MAXCOVERAGE, dither=image.Dither.NONE).save(
            target, optimize=True
        )
