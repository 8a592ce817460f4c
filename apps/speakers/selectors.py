"""Reads of voices and emotions."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.speakers.samples import sample_url

DEFAULT_SPEAKER = "priya"


def speakers_published() -> QuerySet[Speaker]:
    """Voices that may be chosen, in the operator's order."""
    return Speaker.objects.filter(is_published=True)


def emotions_published() -> QuerySet[Emotion]:
    """Emotions that may be chosen, in the operator's order."""
    return Emotion.objects.filter(is_published=True)


def speaker_default() -> Speaker | None:
    """The voice of who has chosen none: the one of `DEFAULT_SPEAKER` if it is offered, else the first."""
    return speaker_published(slug=DEFAULT_SPEAKER) or speakers_published().first()


def blends_published() -> QuerySet[VoiceBlend]:
    """Blends that may be chosen, in the operator's order."""
    return VoiceBlend.objects.filter(is_published=True)


def blend_published(*, slug: str) -> VoiceBlend | None:
    """The published blend of that name, else None."""
    return blends_published().filter(slug=slug).first()


def speaker_published(*, slug: str) -> Speaker | None:
    """The published voice of that name, else None."""
    return speakers_published().filter(slug=slug).first()


def emotion_published(*, slug: str) -> Emotion | None:
    """The published emotion of that name, else None."""
    return emotions_published().filter(slug=slug).first()


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording to choose by: what it is of, and where (None: there is none)."""

    label: str
    emoji: str
    url: str | None


def speaker_samples(*, speaker: Speaker) -> list[Sample]:
    """This voice in every emotion, in the operator's order."""
    return [
        Sample(
            f"{emotion.name_te} · {emotion.name_en}",
            emotion.emoji,
            sample_url(speaker=speaker.slug, emotion=emotion.slug),
        )
        for emotion in Emotion.objects.all()
    ]


def emotion_samples(*, emotion: Emotion) -> list[Sample]:
    """This emotion in every voice, in the operator's order."""
    return [
        Sample(f"{speaker.name_te} · {speaker.name_en}", "", sample_url(speaker=speaker.slug, emotion=emotion.slug))
        for speaker in Speaker.objects.all()
    ]


def speaker_names() -> dict[str, str]:
    """Slug to name of every voice, in the operator's order."""
    return {speaker.slug: str(speaker) for speaker in Speaker.objects.all()}
