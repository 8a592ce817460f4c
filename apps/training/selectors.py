"""Reads of model versions and worker heartbeats."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from apps.training.models import ModelVersion, WorkerHeartbeat


def model_versions_in_production() -> QuerySet[ModelVersion]:
    """At most one per kind and preset."""
    return ModelVersion.objects.filter(stage=ModelVersion.Stage.PRODUCTION)


def heartbeat_ages(*, now: datetime) -> dict[str, float]:
    """Seconds since each queue's last heartbeat; a queue without any worker so far is absent."""
    rows = WorkerHeartbeat.objects.values_list("queue", "beat_at")
    return {queue: round((now - beat_at).total_seconds(), 1) for queue, beat_at in rows}
