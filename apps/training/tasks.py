"""Celery tasks: thin callers of services and of the supervisor."""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.utils import translation

from apps.training import services
from apps.training.supervisor import loop

logger = logging.getLogger(__name__)


@shared_task(name="training.heartbeat", bind=True)
def heartbeat(self: Task, queue: str) -> None:
    """Proof that this queue's workers still take and finish work."""
    services.heartbeat_record(queue=queue, worker=str(self.request.hostname or ""))


@shared_task(name="training.run_job")
def run_job(job_id: str) -> None:
    """See one job through. The message was acknowledged before: the row says what became of it."""
    with translation.override("en"):  # what is stored is English; pages translate it
        loop.supervise(UUID(job_id))


@shared_task(name="training.reap")
def reap() -> int:
    """Queue again what lost its supervisor or its message."""
    with translation.override("en"):
        return services.jobs_reap()


@shared_task(name="training.retention")
def retention() -> int:
    """Remove what nobody needs any more: caches, half uploads, checkpoints of runs long over."""
    return services.files_expire()


@worker_ready.connect(weak=False)
def _look_at_once(**_kwargs: Any) -> None:
    """A worker that comes back looks for orphans now, not at the next beat."""
    loop.worker_stops.clear()
    threading.Thread(target=_reap_quietly, name="first reap", daemon=True).start()


@worker_shutting_down.connect(weak=False)
def _stop_runs(**_kwargs: Any) -> None:
    loop.worker_stops.set()


def _reap_quietly() -> None:
    from django.db import connection

    try:
        with translation.override("en"):
            services.jobs_reap()
    except Exception as error:  # the beat tries again
        logger.warning("the first look for jobs failed: %r", error)
    finally:
        connection.close()
