"""What happens elsewhere and concerns sessions: deleted turns lose their files, edited voices are heard at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.speakers.models import Emotion, Speaker
from apps.speakers.signals import voice_changed
from apps.voice.models import Turn
from apps.voice.services.configuration import sessions_voice_changed
from apps.voice.storage import delete_files


@receiver(post_delete, sender=Turn, dispatch_uid="voice_turn_files")
def remove_turn_files(instance: Turn, using: str, **_: Any) -> None:
    """Deleted in the admin, or with its session or owner: the files go once the deletion is committed."""
    names = [file.name for file in (instance.audio, instance.output_audio, instance.codes) if file.name]
    if names:
        # robust: a file that cannot be removed must not turn a committed deletion into an error page.
        transaction.on_commit(lambda: delete_files(names), using=using, robust=True)


@receiver(voice_changed, dispatch_uid="voice_sessions_hear_it")
def tell_live_sessions(instance: Speaker | Emotion, **_: Any) -> None:
    """Whoever talks with this voice hears the change from the next answer on."""
    sessions_voice_changed(voice=instance)
