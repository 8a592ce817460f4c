"""From speech probabilities to "started" and "stopped", with hysteresis, in media time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.vad.silero import SAMPLE_RATE, WINDOW, SileroVad

WINDOW_MS = 1000 * WINDOW // SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """When speech counts as started and as stopped."""

    start_threshold: float = 0.5
    """Probability at or above which a window counts as speech while there is silence."""
    stop_threshold: float = 0.35
    """Probability below which a window counts as silence while there is speech; under start_threshold, so that
    a probability that wavers around one value does not make many segments."""
    min_speech_ms: int = 100
    """Speech must last this long before "started" is told; shorter bursts (clicks, coughs) are forgotten."""
    min_silence_ms: int = 300
    """Silence must last this long before "stopped" is told; shorter pauses stay inside the segment."""

    def __post_init__(self) -> None:
        if not 0.0 < self.stop_threshold <= self.start_threshold < 1.0:
            raise ValueError(
                "thresholds need 0 < stop_threshold <= start_threshold < 1, got "
                f"stop {self.stop_threshold} and start {self.start_threshold}"
            )
        if self.min_speech_ms < 0 or self.min_silence_ms < 0:
            raise ValueError("min_speech_ms and min_silence_ms cannot be negative")


@dataclass(frozen=True, slots=True)
class SpeechEvent:
    """``at_ms`` is when it began to be so (media time), not when it was found out."""

    event: Literal["started", "stopped"]
    at_ms: int


class SpeechSegmenter:
    """The state machine of one stream; feed it one probability per window."""

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        self.config = config or SegmenterConfig()
        self.speaking = False
        self._since_ms: float | None = None

    def reset(self) -> None:
        """Forget the stream."""
        self.speaking = False
        self._since_ms = None

    def push(self, probability: float, end_ms: float) -> SpeechEvent | None:
        """The event that the window ending at ``end_ms`` decides, if any.

        ``_since_ms`` holds where the run of windows that contradict the present state began.
        """
        config = self.config
        contradicts = probability < config.stop_threshold if self.speaking else probability >= config.start_threshold
        if not contradicts:
            # Between the thresholds a run neither grows nor ends: that is the hysteresis.
            if self._since_ms is not None and self._ends_run(probability):
                self._since_ms = None
            return None
        if self._since_ms is None:
            self._since_ms = max(0.0, end_ms - WINDOW_MS)
        needed = config.min_silence_ms if self.speaking else config.min_speech_ms
        if end_ms - self._since_ms < needed:
            return None
        self.speaking = not self.speaking
        at_ms = round(self._since_ms)
        self._since_ms = None
        return SpeechEvent("started" if self.speaking else "stopped", at_ms)

    def _ends_run(self, probability: float) -> bool:
        if self.speaking:
            return probability >= self.config.start_threshold
        return probability < self.config.stop_threshold


def segment(
    vad: SileroVad, audio: npt.NDArray[np.float32], config: SegmenterConfig | None = None
) -> list[tuple[int, int]]:
    """Stretches of speech in ``audio`` (float32 [samples] at 16 kHz, in [-1, 1]) as (start_ms, end_ms).

    Speech that runs to the end of the audio ends there. The last partial window is padded with zeros.
    """
    segmenter = SpeechSegmenter(config)
    state = vad.state(1)
    padded = np.pad(audio.astype(np.float32), (0, -len(audio) % WINDOW))
    found: list[tuple[int, int]] = []
    start: int | None = None
    for end in range(WINDOW, len(padded) + 1, WINDOW):
        probability = float(vad.step(padded[None, end - WINDOW : end], state)[0])
        event = segmenter.push(probability, 1000 * end / SAMPLE_RATE)
        if event is None:
            continue
        if event.event == "started":
            start = event.at_ms
        elif start is not None:
            found.append((start, event.at_ms))
            start = None
    if start is not None:
        found.append((start, round(1000 * len(audio) / SAMPLE_RATE)))
    return found
