"""Pairs of spoken questions and answers, made from the dialogue corpus: what the speech-to-speech model learns from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.data.pairs.codes import codes_key, make_codes
    from ml.data.pairs.dataset import Clip, Pair, PairSet
    from ml.data.pairs.make import make_pairs
    from ml.data.pairs.schema import AnswerText
    from ml.data.pairs.sizes import SIZES, PairsError

__all__ = ["SIZES", "AnswerText", "Clip", "Pair", "PairSet", "PairsError", "codes_key", "make_codes", "make_pairs"]
_HOMES = {
    **dict.fromkeys(("codes_key", "make_codes"), "codes"),
    **dict.fromkeys(("Clip", "Pair", "PairSet"), "dataset"),
    **dict.fromkeys(("SIZES", "PairsError"), "sizes"),
    "make_pairs": "make",
    "AnswerText": "schema",
}


def __getattr__(name: str) -> Any:
    """Import on first use: processes that render need no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
