"""Proof that workers work."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps.training.models import WorkerHeartbeat


@transaction.atomic
def heartbeat_record(*, queue: str, worker: str, now: datetime | None = None) -> None:
    """Note that a worker of `queue` finished a heartbeat task."""
    WorkerHeartbeat.objects.update_or_create(
        queue=queue, defaults={"worker": worker[:200], "beat_at": now or timezone.now()}
    )
