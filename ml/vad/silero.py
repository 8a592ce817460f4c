"""Silero VAD through onnxruntime, batched over rows with explicit state.

Model: Silero VAD v6 (https://github.com/snakers4/silero-vad, MIT), the 16 kHz ONNX file inside its package. Input
format as in the package's own wrapper: each window of 512 samples (32 ms) goes in behind the last 64 samples of the
window before it, with an LSTM state of [2, rows, 128]. Only the file is used: importing the package would import
torch and torchaudio for nothing.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

SAMPLE_RATE = 16_000
WINDOW = 512
CONTEXT = 64
_STATE_DIM = 128
_MODEL_FILE = "silero_vad_16k_op15.onnx"

Floats = npt.NDArray[np.float32]


class VadError(RuntimeError):
    """The VAD model cannot be used; the message says what to do."""


@dataclass
class VadState:
    """LSTM state [2, batch, 128] and the last 64 samples [batch, 64] of each row."""

    lstm: Floats
    context: Floats

    def reset(self, rows: npt.NDArray[np.bool_] | list[int] | None = None) -> None:
        """Start ``rows`` (a bool mask, indices, or all when None) anew."""
        at = slice(None) if rows is None else rows
        self.lstm[:, at] = 0.0
        self.context[at] = 0.0


class SileroVad:
    """The model. Holds no stream state and may be shared by any number of states (not by threads at once)."""

    def __init__(self, path: Path | None = None) -> None:
        """Load ``path``, or the file of the installed ``silero-vad`` package. Raises VadError."""
        path = packaged_model() if path is None else path
        options = onnxruntime.SessionOptions()
        # One thread: a window costs a fraction of a millisecond, and the other cores belong to the codec and the web.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime raises its own unrelated types
            raise VadError(f"VAD model {path} cannot be loaded ({exc}); reinstall silero-vad") from exc
        self._rate = np.array(SAMPLE_RATE, dtype=np.int64)

    def state(self, batch: int) -> VadState:
        """A fresh state for ``batch`` rows."""
        return VadState(np.zeros((2, batch, _STATE_DIM), np.float32), np.zeros((batch, CONTEXT), np.float32))

    def step(self, windows: Floats, state: VadState, rows: list[int] | None = None) -> Floats:
        """Speech probability of one window per row.

        Args:
            windows: float32 [n, 512] in [-1, 1].
            state: updated in place, only at ``rows``.
            rows: which n different rows of the state the windows belong to; None means all of them, in order.

        Returns:
            float32 [n], each in [0, 1].
        """
        at: list[int] | slice = slice(None) if rows is None else rows
        wanted = state.context.shape[0] if rows is None else len(rows)
        if windows.shape != (wanted, WINDOW):
            raise ValueError(f"windows need shape [{wanted}, {WINDOW}], got {list(windows.shape)}")
        if wanted == 0:
            return np.zeros(0, np.float32)
        chunk = np.concatenate([state.context[at], windows], axis=1, dtype=np.float32)
        probabilities, lstm = self._session.run(
            None, {"input": chunk, "state": np.ascontiguousarray(state.lstm[:, at]), "sr": self._rate}
        )
        state.lstm[:, at] = lstm
        state.context[at] = chunk[:, -CONTEXT:]
        return np.asarray(probabilities, np.float32)[:, 0]


def packaged_model() -> Path:
    """The ONNX file of the installed ``silero-vad`` package, found without importing it. Raises VadError."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise VadError("silero-vad is not installed; install the locked requirements (make run does)")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / _MODEL_FILE
    if not path.is_file():
        raise VadError(f"{path} is missing from silero-vad; install the locked version of it")
    return path
