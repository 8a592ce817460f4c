"""The speech-to-speech model: question codes in, answer codes out, no text in between."""

from ml.s2s.batch import UNKNOWN, Conditions, Past, S2SBatch, S2SOutput
from ml.s2s.checkpoint import export_s2s, load_s2s, load_s2s_preset
from ml.s2s.config import S2SConfig, S2SConfigError
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling
from ml.s2s.state import S2SState, S2SStateError

__all__ = [
    "UNKNOWN",
    "Conditions",
    "Past",
    "S2SBatch",
    "S2SConfig",
    "S2SConfigError",
    "S2SModel",
    "S2SOutput",
    "S2SState",
    "S2SStateError",
    "Sampling",
    "export_s2s",
    "load_s2s",
    "load_s2s_preset",
]
