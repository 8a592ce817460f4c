"""torchrun under the supervisor, on the CPU with gloo: its processes are one run, which ends and goes on as one."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import translation

from apps.training import kinds, services
from apps.training.models import Dataset, Job
from apps.training.paths import run_folder
from apps.training.supervisor import loop
from apps.training.supervisor.failures import tail
from apps.training.supervisor.process import RunProcess
from apps.training.supervisor.usage import UsageMeter
from tests.support.waiting import wait_until
from tests.training.conftest import PRETENDED

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 300.0
"""torchrun loads torch, at the lowest priority."""
GPUS = 2


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.VOICE_QUEUES = ["cpu", "gpu"]
    monkeypatch.setattr(loop, "TICK_S", 0.05)
    monkeypatch.setattr(loop, "REPORT_S", 0.2)


def job_for(dataset: Dataset, steps: int, **values: Any) -> Job:
    config = {"values": {"steps": steps, **values}}
    return services.job_create(
        kind="train_codec", name="several", datasets=[dataset], device="cuda", gpus=GPUS, config=config
    )


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of torchrun's processes is a pretended trainer."""

    def command_of(job: Job) -> kinds.Command:
        run, steps = run_folder(job.pk), int(job.config["values"]["steps"])
        return kinds.Command([*kinds.launcher(job), str(PRETENDED), str(run), str(steps)], run / "metrics.jsonl", steps)

    monkeypatch.setattr(kinds, "command_of", command_of)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it is, but for the device: gloo instead of nccl."""
    real = kinds.command_of

    def command_of(job: Job) -> kinds.Command:
        made = real(job)
        words = ["cpu" if word == "cuda" else word for word in made.arguments]
        words[words.index("--threads") + 1] = "1"
        return kinds.Command(words, made.progress, made.total)

    monkeypatch.setattr(kinds, "command_of", command_of)


def supervise(job: Job) -> Job:
    with translation.override("en"):
        loop.supervise(job.pk)
    job.refresh_from_db()
    return job


def processes(job: Job) -> dict[int, int]:
    """Of this run: process id and parent of each of torchrun's own (its parent's command line is torchrun's)."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            parent = int((entry.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if str(run_folder(job.pk)).encode() in words and b"torch.distributed.run" not in words:
            found[int(entry.parent.name)] = parent
    return found


@contextmanager
def supervised(job: Job, starts: int) -> Iterator[threading.Thread]:
    """Another thread sees the job through; waited for until each process has started that often."""

    def work() -> None:
        try:
            supervise(Job.objects.get(pk=job.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        log = run_folder(job.pk) / "starts"
        wait_until(
            lambda: (log.exists() and len(log.read_text().split()) == GPUS * starts) or not thread.is_alive(),
            PATIENCE_S,
            "both processes to train",
        )
        yield thread
    finally:
        loop.worker_stops.set()
        thread.join(PATIENCE_S)
        loop.worker_stops.clear()
        assert not thread.is_alive()


@pytest.mark.usefixtures("pretended")
def test_they_end_together_and_go_on_together(dataset: Dataset) -> None:
    job = job_for(dataset, 1_000_000)
    with supervised(job, 1) as thread:
        both = processes(job)
        assert len(both) == GPUS
        [torchrun] = set(both.values())
        found = RunProcess.find(run_folder(job.pk))
        assert found is not None
        one = UsageMeter(found.pid, "cpu").look()["memory_mb"]
        assert one > sum(resident_mb(pid) for pid in both)  # sessions of their own, and yet seen
        os.kill(torchrun, signal.SIGKILL)
        thread.join(PATIENCE_S)
        wait_until(lambda: not processes(job), PATIENCE_S, "its processes to be gone with it")
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("queued", 1)
    with supervised(job, 2) as thread:
        services.job_cancel(job_id=job.pk)
        thread.join(PATIENCE_S)
        assert processes(job) == {}
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("cancelled", 2)
    assert int((run_folder(job.pk) / "checkpoint").read_text()) > 0


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[21])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 - 1


@pytest.mark.usefixtures("on_cpu")
def test_a_real_training_by_two_processes(dataset: Dataset) -> None:
    """`python -m ml train codec` as it is started for GPUs: files and curves are written once, by the first process."""
    job = supervise(job_for(dataset, 20, **tiny()))
    said = "\n".join(tail(run_folder(job.pk) / "log.txt"))
    assert (job.status, job.step, job.attempt) == ("succeeded", 20, 1), said
    rows = [json.loads(line) for line in (run_folder(job.pk) / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20]
    assert "best.safetensors" in job.artefacts
    assert list((run_folder(job.pk) / "tensorboard").glob("events.*"))


@pytest.mark.usefixtures("on_cpu")
def test_what_the_trainer_says_is_found_in_what_torchrun_says(dataset: Dataset) -> None:
    job = supervise(job_for(dataset, 20, **tiny() | {"crop_seconds": 0.3333}))
    assert job.status == "failed"
    assert "is not a whole number of 80-sample hops" in job.message
    assert "clone" in job.advice


def tiny() -> dict[str, Any]:
    """The tiny recipe's settings that make a whole configuration, with small codebooks."""
    from apps.training import schema

    values = schema.trainers()["codec"].recipes["tiny"]
    values = schema.with_value(values, "codec.codebook_size", 64)
    values.pop("steps")
    return {**values, "validate_every": 20}
