"""Celery tasks: thin callers of services."""

from __future__ import annotations

from celery import shared_task

from apps.accounts import services


@shared_task(name="accounts.clear")
def clear() -> int:
    """Remove kept answers that no retry will ask for any more."""
    return services.answers_clear()
