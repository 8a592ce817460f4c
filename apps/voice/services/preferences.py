"""What a person likes to begin with."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from apps.speakers.models import Emotion, Speaker
from apps.voice.models import VoicePreference


@transaction.atomic
def preference_save(*, user: User, speaker: Speaker | None, emotion: Emotion | None, rate: float) -> VoicePreference:
    """Store what sessions of this person begin with; None: the site's own choice. Raises ValidationError."""
    row = VoicePreference.objects.select_for_update().filter(owner=user).first() or VoicePreference(owner=user)
    row.speaker, row.emotion, row.rate = speaker, emotion, rate
    row.full_clean()
    row.save()
    return row
