"""The phone recogniser: it judges answers and gives approximate captions."""

from ml.recogniser.captions import Caption, Captioner
from ml.recogniser.config import RecogniserConfig
from ml.recogniser.recogniser import Recogniser, RecogniserState, export_recogniser, words_only

__all__ = [
    "Caption",
    "Captioner",
    "Recogniser",
    "RecogniserConfig",
    "RecogniserState",
    "export_recogniser",
    "words_only",
]
