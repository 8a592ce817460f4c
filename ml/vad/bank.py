"""VAD of many live rows at once: 20 ms frames in, speech events out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.vad.segmenter import SegmenterConfig, SpeechEvent, SpeechSegmenter
from ml.vad.silero import SAMPLE_RATE, WINDOW, SileroVad


class VadBank:
    """One stream per row. Frames are collected to windows of 512 samples, full windows of all rows run as one batch.

    Media time follows the timestamps of the frames, so a lost frame shortens a window's past but shifts no event.
    """

    def __init__(
        self, vad: SileroVad, rows: int, frame_samples: int = 320, config: SegmenterConfig | None = None
    ) -> None:
        if not 0 < frame_samples <= WINDOW:
            raise ValueError(f"frame_samples must be 1 to {WINDOW}, got {frame_samples}")
        self._vad = vad
        self._state = vad.state(rows)
        self._pending = np.zeros((rows, WINDOW + frame_samples), np.float32)
        self._filled = np.zeros(rows, np.int64)
        self.probability = np.zeros(rows, np.float32)
        """Of speech, in the last full window of each row."""
        self._segmenters = [SpeechSegmenter(config) for _ in range(rows)]

    def reset(self, row: int) -> None:
        """Start ``row`` anew."""
        self._state.reset([row])
        self._filled[row] = 0
        self.probability[row] = 0.0
        self._segmenters[row].reset()

    def push(
        self, rows: list[int], frames: npt.NDArray[np.float32], starts_ms: list[int]
    ) -> list[tuple[int, SpeechEvent]]:
        """Take one frame for each of ``rows`` (all different) and return (row, event) where something changed.

        Args:
            rows: n row numbers.
            frames: float32 [n, frame_samples] in [-1, 1].
            starts_ms: media time of each frame's first sample.
        """
        samples = frames.shape[1]
        full: list[int] = []
        ends_ms: list[float] = []
        for row, frame, start_ms in zip(rows, frames, starts_ms, strict=True):
            filled = int(self._filled[row])
            self._pending[row, filled : filled + samples] = frame
            filled += samples
            self._filled[row] = filled
            if filled >= WINDOW:
                full.append(row)
                left = filled - WINDOW
                ends_ms.append(start_ms + 1000.0 * (samples - left) / SAMPLE_RATE)
        if not full:
            return []
        probabilities = self._vad.step(self._pending[full, :WINDOW], self._state, full)
        self.probability[full] = probabilities
        events: list[tuple[int, SpeechEvent]] = []
        for row, probability, end_ms in zip(full, probabilities, ends_ms, strict=True):
            left = int(self._filled[row]) - WINDOW
            self._pending[row, :left] = self._pending[row, WINDOW : WINDOW + left].copy()
            self._filled[row] = left
            event = self._segmenters[row].push(float(probability), end_ms)
            if event is not None:
                events.append((row, event))
        return events
