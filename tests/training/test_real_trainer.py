"""The real trainer under the supervisor: what it says of a checkpoint that is damaged is what people read."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from apps.training import schema, services
from apps.training.models import Dataset, Job
from apps.training.paths import run_folder
from apps.training.supervisor import loop

pytestmark = pytest.mark.django_db(transaction=True)


def supervise(job: Job) -> Job:
    with translation.override("en"):
        loop.supervise(job.pk)
    job.refresh_from_db()
    return job


@pytest.fixture
def trained(dataset: Dataset) -> Job:
    """A tiny training that is over, with two checkpoints; it may go on to 20 steps."""
    values: dict[str, Any] = schema.trainers()["codec"].recipes["tiny"]
    values = schema.with_value(values, "codec.codebook_size", 64)
    values |= {"steps": 20, "validate_every": 20, "save_every_seconds": 0.0, "keep": 3, "quantize_from": 4}
    checked = schema.check_config("codec", values)
    job = services.job_create(kind="train_codec", name="tiny", datasets=[dataset], config={"values": checked})
    assert supervise(job).status == "succeeded", job.message
    Job.objects.filter(pk=job.pk).update(status="cancelled")  # as if somebody had stopped it in its last step
    return job


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(trained: Job) -> None:
    folder = run_folder(trained.pk) / "checkpoints"
    newest = max(folder.glob("step-*"))
    assert newest.name == "step-00000020"
    weights = newest / "state.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1_000])
    services.job_resume(job_id=trained.pk)
    job = supervise(trained)
    assert job.status == "failed"
    assert newest.name in job.message
    assert "damaged" in job.message
    assert "delete that folder to resume from the one before" in job.message

    newest.rename(folder / "damaged")
    services.job_resume(job_id=trained.pk)
    job = supervise(trained)
    assert (job.status, job.step) == ("succeeded", 20), job.message
    assert newest.is_dir()
    log = (run_folder(job.pk) / "log.txt").read_text()
    assert "resuming tiny at step 19 of 20" in log.rpartition("--- attempt")[2]
