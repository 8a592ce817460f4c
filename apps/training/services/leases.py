"""What supervisors and the reaper do with jobs: take, renew, report, end; and devices, one run at a time each.

Every function that a supervisor calls is given its token. A row that carries another one belongs to somebody else now:
the answer is None, and the caller lets go.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.training import kinds
from apps.training.dispatch import send_job_on_commit
from apps.training.models import DeviceLease, Job
from apps.training.services.jobs import job_save

Status = Job.Status
LEASE_S = 30
MAX_FRUITLESS = 3
"""Starts in a row that got no step further; then the job has failed."""
SEND_AGAIN_S = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """What a supervisor knows about a run; the fields are the job's."""

    step: int = 0
    total: int = 0
    eta_seconds: int | None = None
    stage: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)


def worker_name() -> str:
    """This process, so that another on the same machine can tell whether it still lives: ``HOST/PID/START``."""
    return f"{socket.gethostname()}/{os.getpid()}/{_process_start(os.getpid())}"


def worker_is_gone(worker: str) -> bool:
    """Whether `worker` ran on this machine and has ended. False for other machines: there the lease decides."""
    host, _slash, rest = worker.partition("/")
    pid, _slash, start = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return _process_start(int(pid)) != start


def _process_start(pid: int) -> str:
    """When a process began, in the kernel's ticks since boot; empty when there is none (or no /proc to ask)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


@transaction.atomic
def job_claim(*, job_id: UUID, now: datetime | None = None) -> Job | None:
    """Take a queued job, and its device where it needs one. None when it is not to be had now."""
    now = now or timezone.now()
    job = _locked(job_id)
    if job is None or job.status != Status.QUEUED:
        return None
    token, until = secrets.token_hex(16), now + timedelta(seconds=LEASE_S)
    if kinds.needs_device(job.kind) and not _take_device(job, token, until, now):
        return None
    job.status = Status.STARTING
    job.supervisor = token
    job.worker = worker_name()
    job.lease_until = until
    job.ended_at = None
    return job_save(job)


@transaction.atomic
def job_running(*, job_id: UUID, supervisor: str, pid: int, fresh: bool) -> Job | None:
    """A process runs: started just now (`fresh`), or found running and adopted."""
    job = _held(job_id, supervisor)
    if job is None:
        return None
    job.pid = pid
    job.status = Status.STOPPING if job.cancel_requested else Status.RUNNING
    if fresh:
        job.attempt += 1
        job.started_at = job.started_at or timezone.now()
        job.start_step = job.step
        job.message = job.advice = ""
    return job_save(job)


@transaction.atomic
def job_report(*, job_id: UUID, supervisor: str, progress: Progress, now: datetime | None = None) -> Job | None:
    """Renew the lease and note how far the run is. The row tells whether it was asked to stop."""
    job = _held(job_id, supervisor)
    if job is None:
        return None
    job.lease_until = (now or timezone.now()) + timedelta(seconds=LEASE_S)
    _apply(job, progress)
    DeviceLease.objects.filter(supervisor=supervisor).update(lease_until=job.lease_until)
    return job_save(job)


@transaction.atomic
def job_end(
    *,
    job_id: UUID,
    supervisor: str,
    status: str,
    message: str = "",
    advice: str = "",
    progress: Progress | None = None,
    result: Mapping[str, Any] | None = None,
    artefacts: Sequence[str] | None = None,
) -> Job | None:
    """The run is over: succeeded, failed or cancelled. Frees the device for the next job."""
    job = _held(job_id, supervisor)
    if job is None:
        return None
    if progress is not None:
        _apply(job, progress)
    if status == Status.SUCCEEDED:
        job.progress = 1.0
    job.eta_seconds = None
    job.message, job.advice = message[:500], advice[:300]
    job.result = dict(result) if result is not None else job.result
    job.artefacts = list(artefacts) if artefacts is not None else job.artefacts
    _let_go(job, status)
    job.ended_at = timezone.now()
    return job_save(job)


@transaction.atomic
def job_interrupt(*, job_id: UUID, supervisor: str, reason: str, progress: Progress | None = None) -> Job | None:
    """The run ended, or lost its supervisor, before its time: queue it again, unless it gets nowhere."""
    job = _held(job_id, supervisor)
    if job is None:
        return None
    if progress is not None:
        _apply(job, progress)
    job.fruitless = 0 if job.step > job.start_step else job.fruitless + 1
    _let_go(job, Status.INTERRUPTED)
    job.eta_seconds = None
    job.message = reason[:500]
    if job.fruitless >= MAX_FRUITLESS:
        job.status = Status.FAILED
        job.ended_at = timezone.now()
        words = _("%(reason)s (%(n)d times in a row without a new step)")
        job.message = (words % {"reason": reason, "n": job.fruitless})[:500]
        job.advice = str(_("look at the log; then resume it"))
        return job_save(job)
    job_save(job)  # the interruption is a state of its own, also where the next line ends it at once
    return _queue_again(job)


@transaction.atomic
def job_shelve(*, job_id: UUID, supervisor: str, reason: str, progress: Progress | None = None) -> Job | None:
    """As job_interrupt, for a worker that is asked to stop: no message now, whoever starts next takes the job."""
    job = _held(job_id, supervisor)
    if job is None:
        return None
    if progress is not None:
        _apply(job, progress)
    _let_go(job, Status.INTERRUPTED)
    job.eta_seconds = None
    job.message = reason[:500]
    return job_save(job)


def jobs_reap(*, now: datetime | None = None) -> int:
    """Queue again what lost its supervisor, and send again what waits while its device is free. Returns how many."""
    now = now or timezone.now()
    touched = 0
    for job_id, supervisor, worker, lease in list(
        Job.objects.filter(status__in=Job.ACTIVE).values_list("pk", "supervisor", "worker", "lease_until")
    ):
        if lease is not None and (lease < now or worker_is_gone(worker)):
            reason = str(_("interrupted: its worker is gone"))
            touched += job_interrupt(job_id=job_id, supervisor=supervisor, reason=reason) is not None
    for job_id in list(Job.objects.filter(status=Status.INTERRUPTED).values_list("pk", flat=True)):
        touched += _unshelve(job_id)
    limit = now - timedelta(seconds=SEND_AGAIN_S)
    for job_id in list(Job.objects.filter(status=Status.QUEUED, sent_at__lt=limit).values_list("pk", flat=True)):
        touched += _send_again(job_id, now)
    return touched


# -- inside ------------------------------------------------------------------------------------------------


def _locked(job_id: UUID) -> Job | None:
    return Job.objects.select_for_update(of=("self",)).filter(pk=job_id).first()


def _held(job_id: UUID, supervisor: str) -> Job | None:
    job = _locked(job_id)
    return job if job is not None and job.is_active and job.supervisor == supervisor else None


def _apply(job: Job, progress: Progress) -> None:
    job.step = progress.step
    job.total = max(progress.total, job.total)
    job.progress = min(1.0, job.step / job.total) if job.total else 0.0
    job.eta_seconds = progress.eta_seconds
    job.stage = progress.stage[:200]
    job.metrics = {**job.metrics, **progress.metrics}
    job.usage = dict(progress.usage) or job.usage


def _device_key(job: Job) -> str:
    return f"{socket.gethostname()}:{job.device}"


def _take_device(job: Job, token: str, until: datetime, now: datetime) -> bool:
    key = _device_key(job)
    DeviceLease.objects.get_or_create(device=key)
    lease = DeviceLease.objects.select_for_update(of=("self",)).get(device=key)
    if lease.lease_until is not None and lease.lease_until > now and lease.job_id not in (None, job.pk):
        return False
    lease.job, lease.supervisor, lease.lease_until = job, token, until
    lease.full_clean()
    lease.save()
    return True


def _let_go(job: Job, status: str) -> None:
    DeviceLease.objects.filter(supervisor=job.supervisor).update(job=None, supervisor="", lease_until=None)
    job.status = status
    job.supervisor = ""
    job.lease_until = None
    following = Job.objects.filter(status=Status.QUEUED, queue=job.queue).exclude(pk=job.pk).order_by("created_at")
    for waiting in following[:1]:
        send_job_on_commit(job_id=waiting.pk, queue=waiting.queue)


def _queue_again(job: Job) -> Job:
    job.status = Status.QUEUED
    job.sent_at = timezone.now()
    send_job_on_commit(job_id=job.pk, queue=job.queue)
    return job_save(job)


@transaction.atomic
def _unshelve(job_id: UUID) -> bool:
    job = _locked(job_id)
    if job is None or job.status != Status.INTERRUPTED:
        return False
    _queue_again(job)
    return True


@transaction.atomic
def _send_again(job_id: UUID, now: datetime) -> bool:
    job = _locked(job_id)
    if job is None or job.status != Status.QUEUED:
        return False
    if kinds.needs_device(job.kind):
        busy = DeviceLease.objects.filter(device=_device_key(job), lease_until__gt=now).exclude(job=job).exists()
        if busy:
            return False
    _queue_again(job)
    return True
