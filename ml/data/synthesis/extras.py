"""What is said between and around the words: laughter, fillers, breath."""

from __future__ import annotations

import numpy as np

from ml.data.synthesis.phones import SILENCE
from ml.data.synthesis.prosody import Sound

LAUGH, BREATH = "laugh", "breath"


def laughter(rng: np.random.Generator, *, syllables: int, height: float, strength: float) -> list[Sound]:
    """A burst of "ha": 4 to 5 syllables a second, each a breathy /h/ and a short /a/, pitch and loudness falling.

    ``height`` semitones at its start, ``strength`` 0 to 1 scales loudness and fall.
    """
    sounds: list[Sound] = []
    period = float(rng.uniform(0.190, 0.225))
    for number in range(syllables):
        share = number / max(syllables - 1, 1)
        pitch = height - 6.5 * strength * share + float(rng.normal(0.0, 0.3))
        gain = 1.0 - 5.0 * share - 5.0 * (1.0 - strength)
        stretch = 1.0 + 0.15 * share
        aspirated = 0.46 * period * stretch
        sounds.append(Sound("h", aspirated, [(0.5, pitch + 0.5)], gain + 1.5, LAUGH))
        sounds.append(Sound("a", period * stretch - aspirated, [(0.15, pitch + 1.2), (0.9, pitch - 1.8)], gain, LAUGH))
    return sounds


def around_laughter(sounds: list[Sound], strength: float, pitch: float, rng: np.random.Generator) -> list[Sound]:
    """Laughter before and after the words, and at one pause inside; ``strength`` 0 to 1."""
    if strength < 0.08:
        return sounds
    first = laughter(rng, syllables=2 + round(2 * strength), height=pitch + 5.0, strength=strength)
    first.append(Sound(SILENCE, 0.06, []))
    result = list(sounds)
    pauses = [at for at, sound in enumerate(result) if sound.symbol == SILENCE and sound.duration > 0.12]
    if pauses and strength > 0.5:
        at = pauses[int(rng.integers(len(pauses)))]
        inner = laughter(rng, syllables=2, height=pitch + 3.0, strength=0.7 * strength)
        result[at : at + 1] = [Sound(SILENCE, 0.05, []), *inner, Sound(SILENCE, 0.08, [])]
    last = laughter(
        rng, syllables=2 + round(strength * float(rng.uniform(0.6, 1.6))), height=pitch + 3.0, strength=0.9 * strength
    )
    return [*first, *result, Sound(SILENCE, 0.05, []), *last]


def hesitation(sounds: list[Sound], strength: float, pitch: float, rng: np.random.Generator) -> list[Sound]:
    """A filler ("ఆఁ…", "మ్…", "అం…") and a pause before the words, another sometimes at an inner pause."""
    if strength < 0.08:
        return sounds

    def filler(length: float) -> list[Sound]:
        low = pitch - 0.8
        kind = int(rng.integers(3))
        seconds = length * float(rng.uniform(0.85, 1.2))
        flat = [(0.2, low), (0.9, low - 0.9)]
        if kind == 0:
            return [Sound("aa", seconds, flat, -2.0)]
        if kind == 1:
            return [Sound("m", seconds, flat, -1.0)]
        return [Sound("a", 0.35 * seconds, [(0.2, low)], -2.0), Sound("m", 0.65 * seconds, flat, -2.0)]

    result = list(sounds)
    pauses = [at for at, sound in enumerate(result) if sound.symbol == SILENCE and sound.duration > 0.2]
    if pauses and strength > 0.6 and rng.random() < 0.6:
        at = pauses[int(rng.integers(len(pauses)))]
        result[at + 1 : at + 1] = [*filler(0.26), Sound(SILENCE, 0.16, [])]
    return [*filler(0.22 + 0.26 * strength), Sound(SILENCE, 0.12 + 0.24 * strength, []), *result]
