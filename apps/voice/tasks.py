"""Celery tasks: thin callers of services."""

from __future__ import annotations

from celery import shared_task

from apps.voice import services


@shared_task(name="voice.reap")
def reap() -> int:
    """Suspend and end sessions whose time has run out."""
    return services.sessions_reap()
