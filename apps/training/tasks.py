"""Celery tasks: thin callers of services."""

from __future__ import annotations

from celery import Task, shared_task

from apps.training import services


@shared_task(name="training.heartbeat", bind=True)
def heartbeat(self: Task, queue: str) -> None:
    """Proof that this queue's workers still take and finish work."""
    services.heartbeat_record(queue=queue, worker=str(self.request.hostname or ""))
