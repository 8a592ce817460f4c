"""Recordings of each voice in each emotion, shipped as static files, to choose by ear.

Made by `python -m ml data voices samples frontend/static/voice/samples`: the voices that the model learns, at rest.
"""

from __future__ import annotations

from functools import lru_cache

from django.contrib.staticfiles import finders
from django.templatetags.static import static

FOLDER = "voice/samples"
SUFFIXES = (".ogg", ".opus", ".flac", ".mp3")


def sample_url(*, speaker: str, emotion: str) -> str | None:
    """Address of the sample of a voice in an emotion (slugs), or None when there is none."""
    name = _sample_name(speaker, emotion)
    return static(name) if name else None


@lru_cache(maxsize=1024)
def _sample_name(speaker: str, emotion: str) -> str | None:
    names = (f"{FOLDER}/{speaker}-{emotion}{suffix}" for suffix in SUFFIXES)
    return next((name for name in names if finders.find(name)), None)
