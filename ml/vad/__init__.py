"""Voice activity detection: Silero's packaged model, and a segmenter that turns probabilities into speech events."""

from ml.vad.bank import VadBank
from ml.vad.segmenter import SegmenterConfig, SpeechEvent, SpeechSegmenter, segment
from ml.vad.silero import SAMPLE_RATE, WINDOW, SileroVad, VadError, VadState

__all__ = [
    "SAMPLE_RATE",
    "WINDOW",
    "SegmenterConfig",
    "SileroVad",
    "SpeechEvent",
    "SpeechSegmenter",
    "VadBank",
    "VadError",
    "VadState",
    "segment",
]
