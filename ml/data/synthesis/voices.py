"""The four people of the product, as settings on an engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """One person."""

    name: str
    base_hz: float
    """Pitch of a calm syllable."""
    formants: float
    """Factor on all formant frequencies against the recorded speaker; above 1 is a shorter vocal tract."""
    rate: float
    range: float
    """Factor on pitch excursions."""
    tilt_db: float = 0.0
    breath: float = 0.0
    eq: tuple[tuple[float, float, float], ...] = ()
    """Peaking equaliser: (Hz, dB, Q) each."""
    low_cut_hz: float = 60.0
    jitter: float = 0.0
    """Added standard deviation of F0 in semitones."""


CAST: dict[str, Voice] = {
    "arjun": Voice("arjun", 128.0, 1.04, 1.06, 1.15, tilt_db=1.5, eq=((2800.0, 3.0, 1.0), (300.0, -2.0, 0.9))),
    "ravi": Voice(
        "ravi", 98.0, 0.90, 0.90, 0.80, tilt_db=-3.0, eq=((220.0, 3.5, 0.8), (1900.0, -2.5, 1.0)), jitter=0.08
    ),
    "priya": Voice(
        "priya", 212.0, 1.20, 1.04, 1.05, breath=0.12, eq=((450.0, -1.5, 0.8), (4200.0, 2.5, 0.9)), low_cut_hz=120.0
    ),
    "lakshmi": Voice(
        "lakshmi", 182.0, 1.12, 0.96, 0.90, tilt_db=1.0, low_cut_hz=110.0,
        eq=((1200.0, 2.5, 1.0), (3200.0, 3.0, 1.2), (600.0, -2.0, 1.0)),
    ),
}  # fmt: skip
