"""Messages to the workers. A message is a hint: the row is the truth, and the reaper sends lost ones again."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from django.db import transaction

logger = logging.getLogger(__name__)

RUN_JOB = "training.run_job"
EXPIRES_S = 3600
_RETRIES = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2}


def send_job_on_commit(*, job_id: UUID, queue: str) -> None:
    """Ask a worker of `queue` to take the job once the transaction is committed."""
    transaction.on_commit(partial(send_job, job_id, queue))


def send_job(job_id: UUID, queue: str) -> None:
    """The same now. A broker that is away is no error here."""
    from voiceplatform.celery import app

    try:
        app.send_task(RUN_JOB, args=[str(job_id)], queue=queue, expires=EXPIRES_S, retry_policy=_RETRIES)
    except Exception as error:  # kombu's and each transport's own
        logger.warning("job %s: no message sent (%r); the reaper sends it again", job_id, error)
