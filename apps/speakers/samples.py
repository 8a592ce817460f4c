"""Recordings of each voice in each emotion, shipped as static files, to choose by ear.

``voice/samples`` is made by `python -m ml data voices samples frontend/static/voice/samples`: the voices that the model
learns, at rest. ``voice/answers`` is made by `python -m ml gallery QUESTION.wav frontend/static/voice/answers`: what
the shipped model answers to one question.
"""

from __future__ import annotations

from functools import lru_cache

from django.contrib.staticfiles import finders
from django.templatetags.static import static

FOLDER = "voice/samples"
ANSWERS = "voice/answers"
SUFFIXES = (".ogg", ".opus", ".flac", ".mp3")


def sample_url(*, speaker: str, emotion: str) -> str | None:
    """Address of the sample of a voice in an emotion (slugs), or None when there is none."""
    name = _sample_name(FOLDER, speaker, emotion)
    return static(name) if name else None


def answer_url(*, speaker: str, emotion: str) -> str | None:
    """Address of what the model says as that speaker in that emotion, else of the sample, or None."""
    name = _sample_name(ANSWERS, speaker, emotion)
    return static(name) if name else sample_url(speaker=speaker, emotion=emotion)


@lru_cache(maxsize=1024)
def _sample_name(folder: str, speaker: str, emotion: str) -> str | None:
    names = (f"{folder}/{speaker}-{emotion}{suffix}" for suffix in SUFFIXES)
    return next((name for name in names if finders.find(name)), None)
