"""What is removed is what nobody can miss: checkpoints of runs long over, stale caches, folders whose row is gone."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone, translation

from apps.training import services
from apps.training.models import Job
from apps.training.paths import cache_dir, dataset_folder, run_folder
from apps.training.services import retention
from apps.voice.errors import ServiceError

pytestmark = pytest.mark.django_db


def aged(path: Path, days: float) -> Path:
    """The file or folder, made, and as old as that."""
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    else:
        path.mkdir(parents=True, exist_ok=True)
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def a_run(status: str, days: float) -> Path:
    """The folder of a run that ended so long ago, with checkpoints and best weights."""
    job = Job.objects.create(
        kind="train_codec", name="x", status=status, ended_at=timezone.now() - timedelta(days=days)
    )
    aged(run_folder(job.pk) / "checkpoints" / "step-00000010" / "state.safetensors", days)
    aged(run_folder(job.pk) / "best.safetensors", days)
    return run_folder(job.pk)


def test_checkpoints_of_runs_long_over_go_and_the_rest_stays() -> None:
    old, fresh = a_run("cancelled", retention.CHECKPOINT_DAYS + 1), a_run("cancelled", 1)
    waiting = a_run("queued", retention.CHECKPOINT_DAYS + 1)
    assert retention.files_expire() == 1
    assert not (old / "checkpoints").exists()
    assert (old / "best.safetensors").exists()
    assert (fresh / "checkpoints").exists()
    assert (waiting / "checkpoints").exists()


def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew_without_a_word() -> None:
    old, fresh = a_run("cancelled", retention.CHECKPOINT_DAYS + 1), a_run("cancelled", 1)
    Job.objects.update(step=10)
    retention.files_expire()
    with translation.override("en"), pytest.raises(ServiceError, match="90 days after its end") as refused:
        services.job_resume(job_id=uuid.UUID(old.name))
    assert refused.value.code == "checkpoints_expired"
    assert "clone it" in refused.value.hint
    assert services.job_resume(job_id=uuid.UUID(fresh.name)).status == "queued"


def test_folders_without_a_row_go_after_a_day() -> None:
    gone, new = aged(run_folder(uuid.uuid4()), 2), aged(run_folder(uuid.uuid4()), 0)
    recordings = aged(dataset_folder(uuid.uuid4()), 2)
    strange = aged(run_folder(uuid.uuid4()).parent / "notes", 2)  # no name of ours
    assert retention.files_expire() == 2
    assert [path.exists() for path in (gone, new, recordings, strange)] == [False, True, False, True]


def test_stale_caches_go() -> None:
    old, used = aged(cache_dir() / "a.npy", retention.CACHE_DAYS + 1), aged(cache_dir() / "b.npy", 1)
    assert retention.files_expire() == 1
    assert (old.exists(), used.exists()) == (False, True)
