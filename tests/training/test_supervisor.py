"""One job, one process, one truth: whatever dies. The processes, signals, locks and the database are real."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone, translation

from apps.training import services
from apps.training.models import DeviceLease, Job
from apps.training.paths import dataset_folder, run_folder
from apps.training.supervisor import failures, loop
from apps.training.supervisor.process import RunProcess, is_locked
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., Job]
LONG = 100_000


def supervise(job: Job) -> Job:
    with translation.override("en"):  # as the task does: what is stored is English
        loop.supervise(job.pk)
    job.refresh_from_db()
    return job


@contextmanager
def supervised(job: Job) -> Iterator[threading.Thread]:
    """Another thread sees the job through, as a worker does; the job is waited for until it runs."""

    def work() -> None:
        try:
            with translation.override("en"):
                loop.supervise(job.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(job, lambda: job.status == "running" and job.step > 0, "the job to run")
        yield thread
    finally:
        found = RunProcess.find(run_folder(job.pk))
        if found is not None:
            found.signal(signal.SIGKILL)
        loop.worker_stops.set()
        thread.join(30)
        loop.worker_stops.clear()
        assert not thread.is_alive()


def wait_for(job: Job, ready: Callable[[], bool], what: str) -> None:
    def looked() -> bool:
        job.refresh_from_db()
        return ready()

    try:
        wait_until(looked, 20, what)
    except TimeoutError as error:
        raise AssertionError(f"{error}; it is {job.status} at step {job.step}: {job.message}") from None


def starts(job: Job) -> list[int]:
    """From which step each start of the trainer went on."""
    return [int(line) for line in (run_folder(job.pk) / "starts").read_text().split()]


def command(job: Job) -> list[str]:
    return loop.kinds.command_of(job).arguments


def test_a_job_runs_to_its_end(new_job: Make) -> None:
    job = supervise(new_job(30))
    assert (job.status, job.step, job.total, job.progress, job.attempt) == ("succeeded", 30, 30, 1.0, 1)
    assert job.metrics["loss"] == pytest.approx(1 / 30)
    assert "metrics.jsonl" in job.artefacts
    assert job.lease_until is None
    assert DeviceLease.objects.get().job is None
    assert not is_locked(run_folder(job.pk))


def test_what_the_trainer_says_about_its_configuration_is_the_message(new_job: Make) -> None:
    job = supervise(new_job(30, "fail=2"))
    assert (job.status, job.message) == ("failed", "crop_seconds 0.3 is not a whole number of hops")
    assert "clone" in job.advice


def test_a_full_disk_is_named_and_the_run_can_be_resumed(new_job: Make) -> None:
    job = supervise(new_job(30, "full"))
    assert (job.status, job.message) == ("failed", "the disk is full")
    assert "resume" in job.advice
    assert services.job_resume(job_id=job.pk).status == "queued"


def test_why_it_ended_is_read_from_the_last_start_however_it_is_wrapped(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("SafetensorError: Error while serializing: I/O error: No space left\non device (os error 28)\n")
    with translation.override("en"):
        assert failures.words_for(1, log)[0] == "the disk is full"
        with log.open("a") as more:  # of the next start, with room again
            more.write("--- attempt 2, 2026-01-01 00:00:00 +0000\nerror: batch must be positive\n")
        assert failures.words_for(2, log)[0] == "batch must be positive"


def test_on_a_disk_without_room_nothing_is_started(new_job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job(30)
    with monkeypatch.context() as full:
        full.setattr(loop, "MIN_FREE_BYTES", 1 << 60)
        assert supervise(job).status == "failed"
    assert (job.message, job.attempt) == ("the disk is full", 0)
    assert "resume" in job.advice
    services.job_resume(job_id=job.pk)
    assert supervise(job).status == "succeeded"


def test_a_dataset_that_is_gone_when_the_run_goes_on(new_job: Make, dataset: Any) -> None:
    """The run keeps its checkpoint, and goes on once the recordings are there again."""
    job = new_job(LONG)
    with supervised(job) as thread:
        services.job_cancel(job_id=job.pk)
        thread.join(20)
    audio, elsewhere = (dataset_folder(dataset.pk) / name for name in ("audio", "elsewhere"))
    audio.rename(elsewhere)
    services.job_resume(job_id=job.pk)
    assert supervise(job).status == "failed"
    assert "Two tones" in job.message
    reached = int((run_folder(job.pk) / "checkpoint").read_text())
    elsewhere.rename(audio)
    services.job_resume(job_id=job.pk)
    with supervised(job) as thread:
        wait_for(job, lambda: len(starts(job)) == 2, "the second start")
        services.job_cancel(job_id=job.pk)
        thread.join(20)
    assert starts(job) == [0, reached]


def test_a_dataset_deleted_underneath(new_job: Make, dataset: Any) -> None:
    job = new_job(30)
    (dataset_folder(dataset.pk) / "audio").rename(dataset_folder(dataset.pk) / "elsewhere")
    job = supervise(job)
    assert job.status == "failed"
    assert "Two tones" in job.message
    assert not (run_folder(job.pk) / "starts").exists()


def test_cancelled_in_the_middle_and_resumed(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job) as thread:
        assert services.job_cancel(job_id=job.pk).status == "stopping"
        thread.join(20)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert 0 < job.step < LONG
    assert f"step {job.step} of {LONG}" in job.message
    reached = job.step
    assert int((run_folder(job.pk) / "checkpoint").read_text()) == reached
    services.job_resume(job_id=job.pk)
    with supervised(job) as thread:
        wait_for(job, lambda: len(starts(job)) == 2, "the second start")
        services.job_cancel(job_id=job.pk)
        thread.join(20)
    assert starts(job) == [0, reached]


def test_a_killed_trainer_is_queued_again_and_goes_on(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job) as thread:
        wait_for(job, lambda: job.step > 15, "a checkpoint")
        os.killpg(job.pid or 0, signal.SIGKILL)
        thread.join(20)
    job.refresh_from_db()
    assert (job.status, job.fruitless) == ("queued", 0)
    with supervised(job):
        wait_for(job, lambda: len(starts(job)) == 2, "the second start")
        assert job.attempt == 2
    assert starts(job)[1] >= 10


def test_a_trainer_that_dies_at_once_is_given_up_after_three_starts(new_job: Make) -> None:
    job = new_job(30, "crash")
    for _ in range(2):
        assert supervise(job).status == "queued"
    job = supervise(job)
    assert (job.status, job.attempt, len(starts(job))) == ("failed", 3, 3)
    assert "SIGKILL" in job.message


def test_the_process_of_a_dead_supervisor_is_adopted_not_doubled(new_job: Make) -> None:
    job = new_job(LONG)
    claimed = services.job_claim(job_id=job.pk)
    assert claimed is not None
    folder = run_folder(job.pk)
    folder.mkdir(parents=True)
    orphan = RunProcess.start(folder, 1, command(job))
    services.job_running(job_id=job.pk, supervisor=claimed.supervisor, pid=orphan.pid, fresh=True)
    wait_until(lambda: RunProcess.find(folder) is not None, 20, "the orphan to run")
    # its supervisor is gone without a word: another start time tells, without waiting for the lease
    Job.objects.filter(pk=job.pk).update(worker=claimed.worker + "0")
    assert services.jobs_reap() == 1
    job.refresh_from_db()
    assert job.status == "queued"
    with supervised(job) as thread:
        assert (job.pid, job.attempt) == (orphan.pid, 1)
        services.job_cancel(job_id=job.pk)
        thread.join(20)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert starts(job) == [0]


def test_a_second_process_cannot_start_in_the_same_folder(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job):
        second = RunProcess.start(run_folder(job.pk), 2, command(job))
        assert second._popen is not None
        assert second._popen.wait(20) == 75
        assert len(starts(job)) == 1


def test_a_run_that_ended_while_nobody_looked_is_not_run_again(new_job: Make) -> None:
    job = new_job(20)
    claimed = services.job_claim(job_id=job.pk)
    assert claimed is not None
    folder = run_folder(job.pk)
    folder.mkdir(parents=True)
    process = RunProcess.start(folder, 1, command(job))
    services.job_running(job_id=job.pk, supervisor=claimed.supervisor, pid=process.pid, fresh=True)
    assert process._popen is not None
    process._popen.wait(20)
    services.jobs_reap(now=timezone.now() + timedelta(minutes=5))
    job = supervise(job)
    assert (job.status, job.step, job.attempt) == ("succeeded", 20, 1)
    assert starts(job) == [0]


def test_a_supervisor_that_lost_its_lease_lets_go(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job) as thread:
        pid = job.pid
        Job.objects.filter(pk=job.pk).update(supervisor="somebody-else")
        thread.join(20)
        assert not thread.is_alive()
        found = RunProcess.find(run_folder(job.pk))
        assert found is not None
        assert found.pid == pid  # the run itself goes on


def test_a_worker_that_is_asked_to_stop_leaves_a_checkpoint_and_no_process(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job) as thread:
        loop.worker_stops.set()
        thread.join(20)
    job.refresh_from_db()
    assert job.status == "interrupted"
    assert not is_locked(run_folder(job.pk))
    assert int((run_folder(job.pk) / "checkpoint").read_text()) == job.step
    assert services.jobs_reap() == 1
    job.refresh_from_db()
    assert job.status == "queued"


def test_one_run_at_a_time_on_a_device(new_job: Make) -> None:
    first, second = new_job(LONG), new_job(10)
    with supervised(first) as thread:
        assert supervise(second).status == "queued"
        services.job_cancel(job_id=first.pk)
        thread.join(20)
    assert supervise(second).status == "succeeded"


def test_cancelled_before_it_started(new_job: Make) -> None:
    job = new_job(10)
    assert services.job_cancel(job_id=job.pk).status == "cancelled"
    assert supervise(job).status == "cancelled"
    assert not (run_folder(job.pk) / "starts").exists()


def test_the_run_goes_on_while_the_database_is_away(new_job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it is in test_faults (Postgres killed); here: a write that fails is tried again, not given up."""
    from django.db import OperationalError

    real, failures = services.job_report, iter(range(4))

    def away(**changes: Any) -> Job | None:
        if next(failures, None) is not None:
            raise OperationalError("the connection is closed")
        return real(**changes)

    monkeypatch.setattr(loop.services, "job_report", away)
    monkeypatch.setattr(loop, "BACKOFF_S", (0.01,))
    assert supervise(new_job(60)).status == "succeeded"


def test_niceness(new_job: Make) -> None:
    job = new_job(LONG)
    with supervised(job):
        assert os.getpriority(os.PRIO_PGRP, job.pid or 0) == 19


def test_the_runner_needs_nothing_but_python() -> None:
    """It waits for hours beside the trainer: a few MB, not a Django."""
    text = (Path(loop.__file__).parent / "runner.py").read_text()
    assert "django" not in text
    assert "apps." not in text.replace("apps/", "")
