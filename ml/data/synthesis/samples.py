"""A short greeting of each voice in each emotion, for people who choose among them by ear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import soundfile as sf

from ml.data.synthesis.speech import speak
from ml.data.synthesis.types import EMOTIONS, SAMPLE_RATE, VOICES

NAMES = {"arjun": "అర్జున్", "ravi": "రవి", "priya": "ప్రియ", "lakshmi": "లక్ష్మి"}
GREETING = "నమస్కారం! నేను {name}. మీతో మాట్లాడటం నాకు చాలా ఇష్టం."
"""The same words for all, so that the ear compares voices and not texts."""


def make_samples(folder: Path) -> Iterator[Path]:
    """Write ``VOICE-EMOTION.ogg`` (Opus, 16 kHz mono) for every pair, in order. The same files each time."""
    folder.mkdir(parents=True, exist_ok=True)
    for voice in VOICES:
        for emotion in EMOTIONS:
            clip = speak(GREETING.format(name=NAMES[voice]), voice=voice, emotion=emotion)
            path = folder / f"{voice}-{emotion}.ogg"
            sf.write(path, clip.audio, SAMPLE_RATE, format="OGG", subtype="OPUS")
            yield path
