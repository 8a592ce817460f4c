"""How much to make: the presets of `python -m ml data pairs --size`."""

from __future__ import annotations

from dataclasses import dataclass


class PairsError(ValueError):
    """Pairs cannot be made or read as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers behind one preset."""

    name: str
    intents: int | None
    """Intents of the corpus that are used; None for all."""
    chains: int | None
    """Chains that are used; None for all."""
    talkers: int
    """Synthetic talkers of training; validation and test have a quarter as many each, others."""
    asked_by: int
    """Talkers who say each training phrasing."""
    reworded: float
    """Share of training questions whose words are varied."""
    renderings: int
    """Clips of each answer of an intent; answers to follow-ups have fewer, fallbacks all voices and emotions."""
    controlled: float
    """Share of answer clips with random controls."""
    followups: int
    """Times that each kind of follow-up is asked after each intent."""
    tellings: int
    """Times that each chain is told in training."""
    out_of_domain: float
    """Share of training pairs whose question is none of the corpus."""
    validation: int
    """Pairs of each validation group."""
    test: int
    """Pairs of each test group."""


SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("tiny", 2, 1, 4, 1, 0.5, 2, 0.25, 1, 1, 0.06, 1, 1),
        Size("base", None, None, 1_600, 2, 0.5, 8, 0.25, 2, 18, 0.06, 60, 200),
        Size("full", None, None, 8_000, 24, 0.6, 36, 0.35, 6, 24, 0.06, 200, 600),
    )
}
LONG_ANSWER = 7.0
"""Seconds; pairs whose answer is likely to be longer are rendered last, so that a partial set has short answers."""


def size_named(name: str) -> Size:
    """The preset of a name. Raises PairsError."""
    if name not in SIZES:
        raise PairsError(f"no size {name!r}: choose one of {', '.join(SIZES)}")
    return SIZES[name]
