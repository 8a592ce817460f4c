"""What a clip's audio does not say by itself: pitch from Praat, phones from the sidecar of synthesised speech.

Both are given every 10 ms; entry k describes the moment at sample 160 k.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE, Samples
from ml.data.synthesis.phones import PHONE_ID

STEP = 160
"""Samples between labels."""
UNKNOWN = -1
"""Phone label of a moment about which nothing is known."""


class LabelError(RuntimeError):
    """Labels cannot be made; the message says what is missing."""


def pitch_of(audio: Samples) -> NDArray[np.float32]:
    """Fundamental frequency in Hz every 10 ms, 0 where unvoiced (Boersma 1993, autocorrelation)."""
    try:
        praat = importlib.import_module("parselmouth")
    except ImportError:
        raise LabelError("package praat-parselmouth is not installed; run `pip install praat-parselmouth`") from None
    count = len(audio) // STEP + 1
    if len(audio) < SAMPLE_RATE // 10:
        return np.zeros(count, np.float32)
    track = praat.Sound(audio.astype(np.float64), SAMPLE_RATE).to_pitch_ac(
        time_step=STEP / SAMPLE_RATE, pitch_floor=65.0, pitch_ceiling=480.0
    )
    hertz = track.selected_array["frequency"]
    nearest = np.round((np.arange(count) * STEP / SAMPLE_RATE - track.x1) / track.dx).astype(int)
    inside = (nearest >= 0) & (nearest < len(hertz))
    return np.where(inside, hertz[np.clip(nearest, 0, len(hertz) - 1)], 0.0).astype(np.float32)


def phones_of(path: Path, samples: int) -> NDArray[np.int16]:
    """Phone class ids every 10 ms from `path`'s JSON sidecar (`phones`: rows of symbol, start, end in seconds)."""
    labels = np.full(samples // STEP + 1, UNKNOWN, np.int16)
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        return labels
    for row in json.loads(sidecar.read_text(encoding="utf-8")).get("phones", []):
        symbol, start, end = (row["symbol"], row["start"], row["end"]) if isinstance(row, dict) else row
        first, last = (round(float(t) * SAMPLE_RATE / STEP) for t in (start, end))
        labels[max(0, first) : max(0, last)] = PHONE_ID.get(symbol, UNKNOWN)
    return labels
