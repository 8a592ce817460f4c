"""The leave of those who talk, that their words be learned from; and what happens when they take it back."""

from __future__ import annotations

import shutil
from typing import Any

from django.db import transaction
from django.db.models import Q

from apps.training.models import Dataset, TrainingConsent
from apps.training.paths import dataset_folder
from apps.training.services.datasets import dataset_locked
from apps.voice.errors import ServiceError
from apps.voice.models import VoiceSession


@transaction.atomic
def consent_give(*, user_id: int | None, guest_key: str) -> TrainingConsent:
    """This person agrees, for what they said and will say. Raises ServiceError unknown_person."""
    if user_id is None and not guest_key:
        raise ServiceError("unknown_person", "nobody is known here", "open the talk page first")
    who: dict[str, Any] = {"owner_id": user_id} if user_id is not None else {"guest_key": guest_key}
    consent = TrainingConsent.objects.filter(**who).first() or TrainingConsent(**who)
    if consent._state.adding:
        consent.full_clean()
        consent.save()
    return consent


def consent_withdraw(*, user_id: int | None, guest_key: str) -> int:
    """They agree no longer: what was taken from their conversations leaves the datasets. Returns how many clips.

    Models that were trained before keep what they learned; the next ingest of those datasets is without them.
    """
    who = Q(owner_id=user_id) if user_id is not None else Q(guest_key=guest_key) & ~Q(guest_key="")
    TrainingConsent.objects.filter(who).delete()
    sessions = {str(pk) for pk in VoiceSession.objects.filter(who).values_list("pk", flat=True)}
    removed = 0
    for dataset_id in list(Dataset.objects.filter(source=Dataset.Source.CONVERSATION).values_list("pk", flat=True)):
        with transaction.atomic():
            dataset = dataset_locked(dataset_id)
            turns = dataset.lineage.get("turns", {})
            theirs = {turn: about for turn, about in turns.items() if about.get("session") in sessions}
            if not theirs:
                continue
            dataset.lineage["turns"] = {turn: about for turn, about in turns.items() if turn not in theirs}
            dataset.files = max(0, dataset.files - len(theirs))
            dataset.status = Dataset.Status.OPEN
            dataset.full_clean()
            dataset.save()
            removed += len(theirs)
        folder = dataset_folder(dataset_id)
        for session in {about["session"] for about in theirs.values()}:
            shutil.rmtree(folder / "uploads" / f"session-{session}", ignore_errors=True)
        # the clips made of them have names of their own: without a manifest nobody trains on any of them
        shutil.rmtree(folder / "audio", ignore_errors=True)
        (folder / "manifest.jsonl").unlink(missing_ok=True)
    return removed
