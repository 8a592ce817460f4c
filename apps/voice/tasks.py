"""Celery tasks: thin callers of services."""

from __future__ import annotations

from importlib import import_module

from celery import shared_task
from django.conf import settings

from apps.voice import services


@shared_task(name="voice.reap")
def reap() -> int:
    """Suspend and end sessions whose time has run out."""
    return services.sessions_reap()


@shared_task(name="voice.retention")
def retention() -> int:
    """Delete turns, and their files, that are older than the site keeps them."""
    return services.turns_expire(days=settings.VOICE_RETENTION_DAYS)


@shared_task(name="voice.clear_logins")
def clear_logins() -> None:
    """Remove expired Django sessions (every guest who opened the page left one) and unused tickets."""
    services.tickets_clear()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
