"""The voices that are offered, to be heard before one is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from apps.speakers.models import Emotion, Speaker
from apps.speakers.samples import answer_url, sample_url
from apps.speakers.selectors import emotions_published, speakers_published


@dataclass(frozen=True)
class GalleryRow:
    """A speaker and its samples, one per published emotion that has one."""

    speaker: Speaker
    samples: list[tuple[Emotion, str]]


def voice_gallery(*, answers: bool = False) -> list[GalleryRow]:
    """Every published voice in every published emotion that can be heard, in the house's order.

    The voices as they are, or with ``answers`` what the shipped model says with them.
    """
    url_of = answer_url if answers else sample_url
    emotions = list(emotions_published())
    return [
        GalleryRow(speaker, [(e, url) for e in emotions if (url := url_of(speaker=speaker.slug, emotion=e.slug))])
        for speaker in speakers_published()
    ]
