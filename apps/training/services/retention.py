"""Files that nobody needs any more."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.utils import timezone

from apps.training import kinds
from apps.training.models import Dataset, Job
from apps.training.paths import cache_dir, run_folder, training_dir

CACHE_DAYS = 7
CHECKPOINT_DAYS = 90
"""How long a run that is over can be resumed. Its best weights, samples and metrics stay until the job is deleted."""


def files_expire() -> int:
    """Remove stale caches, checkpoints of runs long over, and folders whose row is gone. Returns how many."""
    removed = 0
    for path in cache_dir().glob("*"):
        if path.is_file() and time.time() - path.stat().st_atime > CACHE_DAYS * 86_400:
            path.unlink(missing_ok=True)
            removed += 1
    limit = timezone.now() - timedelta(days=CHECKPOINT_DAYS)
    for job_id in Job.objects.filter(status__in=Job.FINAL, ended_at__lt=limit).values_list("pk", flat=True):
        folder = run_folder(job_id) / "checkpoints"
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    known = {str(pk) for pk in Job.objects.values_list("pk", flat=True)}
    removed += _orphans(training_dir() / "jobs", known)
    known = {str(pk) for pk in Dataset.objects.values_list("pk", flat=True)}
    return removed + _orphans(training_dir() / "datasets", known)


def checkpoints_expired(job: Job) -> bool:
    """Whether the checkpoints of this training are gone because it has been over for so long."""
    if job.kind not in kinds.TRAINERS or job.ended_at is None or (run_folder(job.pk) / "checkpoints").is_dir():
        return False
    return job.ended_at < timezone.now() - timedelta(days=CHECKPOINT_DAYS)


def _orphans(folder: Path, known: set[str]) -> int:
    removed = 0
    for path in folder.glob("*"):
        # a day old: the row of a folder that is being made may not be committed yet
        if _is_uuid(path.name) and path.name not in known and time.time() - path.stat().st_mtime > 86_400:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
