"""Pairs of spoken questions and answers, made from the dialogue corpus: what the speech-to-speech model learns from."""

from ml.data.pairs.codes import codes_key, make_codes
from ml.data.pairs.dataset import Clip, Pair, PairSet
from ml.data.pairs.make import make_pairs
from ml.data.pairs.schema import AnswerText
from ml.data.pairs.sizes import SIZES, PairsError

__all__ = ["SIZES", "AnswerText", "Clip", "Pair", "PairSet", "PairsError", "codes_key", "make_codes", "make_pairs"]
