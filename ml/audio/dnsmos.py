"""DNSMOS P.835 (Reddy et al. 2022): a network's guess of what listeners say of signal, background and the whole.

The network comes with the `speechmos` package; only its file is used, since the package itself wants librosa for a
second network. Scores run from 1 to 5 and were learned from noise suppressors in English calls: they compare
recordings of one kind, they do not measure naturalness.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
_WINDOW = int(9.01 * SAMPLE_RATE)
# the package's calibration of the raw outputs, highest power first
_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)


class DnsmosError(RuntimeError):
    """The network is not installed."""


class Dnsmos(NamedTuple):
    """Mean opinion scores, 1 to 5."""

    signal: float
    background: float
    overall: float


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    spec = importlib.util.find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        raise DnsmosError("DNSMOS needs the package speechmos: pip install speechmos")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    path = Path(next(iter(spec.submodule_search_locations))) / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def dnsmos(audio: NDArray[np.float32], *, windows: int | None = None) -> Dnsmos:
    """Score ``audio`` (float32 [T] in [-1, 1], 16 kHz): the mean over windows of 9.01 s, one a second.

    Shorter audio is repeated, as the reference does. ``windows`` bounds their number (each takes about 0.2 s of one
    core). ValueError for empty audio.
    """
    if audio.ndim != 1 or not len(audio):
        raise ValueError("DNSMOS needs mono audio that is not empty")
    audio = np.clip(audio.astype(np.float32), -1.0, 1.0)
    while len(audio) < _WINDOW:
        audio = np.append(audio, audio)
    hops = int(np.floor(len(audio) / SAMPLE_RATE) - 9.01) + 1
    raw = []
    for hop in range(max(hops, 1) if windows is None else min(max(hops, 1), windows)):
        piece = audio[hop * SAMPLE_RATE : hop * SAMPLE_RATE + _WINDOW]
        if len(piece) == _WINDOW:
            raw.append(_session().run(None, {"input_1": piece[None]})[0][0])
    scores = np.array(raw, dtype=np.float64)
    signal, background, overall = (
        float(np.mean(np.polyval(weights, scores[:, column])))
        for column, weights in enumerate((_SIGNAL, _BACKGROUND, _OVERALL))
    )
    return Dnsmos(signal, background, overall)
