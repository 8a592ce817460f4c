"""Writes of voices and emotions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import transaction

from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.speakers.signals import voice_changed

Choice = TypeVar("Choice", Speaker, Emotion, VoiceBlend)


@transaction.atomic
def speaker_save(*, speaker: Speaker) -> Speaker:
    """Check and store a new or changed voice. Raises ValidationError."""
    return _save(speaker)


@transaction.atomic
def emotion_save(*, emotion: Emotion) -> Emotion:
    """Check and store a new or changed emotion. Raises ValidationError."""
    return _save(emotion)


@transaction.atomic
def blend_save(*, blend: VoiceBlend) -> VoiceBlend:
    """Check and store a new or changed blend of voices. Raises ValidationError."""
    return _save(blend)


@transaction.atomic
def blends_publish(*, blends: Iterable[VoiceBlend], published: bool) -> int:
    """Offer blends, or withdraw them (running sessions keep theirs). Returns how many changed."""
    return _publish(blends, published)


@transaction.atomic
def speakers_publish(*, speakers: Iterable[Speaker], published: bool) -> int:
    """Offer voices, or withdraw them (running sessions keep theirs). Returns how many changed."""
    return _publish(speakers, published)


@transaction.atomic
def emotions_publish(*, emotions: Iterable[Emotion], published: bool) -> int:
    """Offer emotions, or withdraw them (running sessions keep theirs). Returns how many changed."""
    return _publish(emotions, published)


@transaction.atomic
def speakers_seed(*, rows: Iterable[dict[str, Any]]) -> int:
    """Create the voices whose slug is missing; present ones stay as the operator left them. Returns how many."""
    return _seed(Speaker, rows)


@transaction.atomic
def emotions_seed(*, rows: Iterable[dict[str, Any]]) -> int:
    """Create the emotions whose slug is missing; present ones stay as the operator left them. Returns how many."""
    return _seed(Emotion, rows)


def _save(row: Choice) -> Choice:
    row.full_clean()
    row.save()
    transaction.on_commit(lambda: voice_changed.send_robust(sender=type(row), instance=row))
    return row


def _publish(rows: Iterable[Choice], published: bool) -> int:
    changed = 0
    for row in rows:
        if row.is_published != published:
            row.is_published = published
            _save(row)
            changed += 1
    return changed


def _seed(model: type[Choice], rows: Iterable[dict[str, Any]]) -> int:
    present = set(model._default_manager.values_list("slug", flat=True))
    missing = [row for row in rows if row["slug"] not in present]
    for row in missing:
        _save(model(**row))
    return len(missing)
