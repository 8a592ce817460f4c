"""Deleting a turn (in the admin, or with its session or owner) removes its files once the deletion is committed."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.voice.models import Turn
from apps.voice.storage import delete_files


@receiver(post_delete, sender=Turn, dispatch_uid="voice_turn_files")
def remove_turn_files(instance: Turn, using: str, **_: Any) -> None:
    names = [file.name for file in (instance.audio, instance.output_audio, instance.codes) if file.name]
    if names:
        # robust: a file that cannot be removed must not turn a committed deletion into an error page.
        transaction.on_commit(lambda: delete_files(names), using=using, robust=True)
