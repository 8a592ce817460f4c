"""The Celery application: three queues, a reaper, a heartbeat per queue that has a worker.

``io`` is for short work (the default), ``cpu`` and ``gpu`` for jobs that own a core or a device; a GPU's worker runs
``-Q gpu -c 1 --prefetch-multiplier 1``, so that no job waits hidden behind a running one. What beat sends stands in
the settings (``CELERY_BEAT_SCHEDULE``).
"""

from __future__ import annotations

import os

from celery import Celery
from kombu import Queue

from voiceplatform.env import QUEUES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.dev")

app = Celery("voiceplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_queues=[Queue(name) for name in QUEUES],
    task_default_queue="io",
    task_create_missing_queues=False,
    task_ignore_result=True,
    # Early acknowledgement: the database row is the truth of a job, a second copy of it is worse than a lost message.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    timezone="UTC",
)
app.autodiscover_tasks()
