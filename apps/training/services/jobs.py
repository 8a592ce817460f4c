"""What people do with jobs: start, stop, go on, delete."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.training import kinds
from apps.training.dispatch import send_job_on_commit
from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import run_folder
from apps.training.services import retention
from apps.voice.errors import ServiceError

Status = Job.Status
Kind = Job.Kind
Person = AbstractBaseUser | AnonymousUser | None
GPUS_MAX = 64
"""GPUs of one machine."""


def job_locked(job_id: UUID) -> Job:
    """The row, locked for this transaction. Raises ServiceError unknown_job."""
    job = Job.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
    if job is None:
        raise ServiceError("unknown_job", _("there is no such job"), _("look at the list of jobs"))
    return job


def job_save(job: Job) -> Job:
    """Check and store. Raises ServiceError bad_value."""
    try:
        job.full_clean()
    except ValidationError as error:
        raise ServiceError(
            "bad_value", "; ".join(f"{k}: {' '.join(v)}" for k, v in error.message_dict.items())
        ) from None
    job.save()
    return job


@transaction.atomic
def job_create(
    *,
    kind: str,
    name: str,
    user: Person = None,
    config: Mapping[str, Any] | None = None,
    datasets: Sequence[Dataset] = (),
    device: str = "cpu",
    gpus: int = 1,
    parent: Job | None = None,
    model_version: ModelVersion | None = None,
) -> Job:
    """Queue a job. A training's ``config["values"]`` is its whole configuration, as ``schema.check_config`` returns it.
    ``gpus``: GPUs of one machine that train together, by torchrun.

    Raises:
        ServiceError: no_dataset, no_model, no_run, bad_device or bad_value.
    """
    if kind not in Kind.values:
        raise ServiceError("bad_value", f"kind: {kind!r}", ", ".join(Kind.values))
    if device not in kinds.devices():
        words = _("device: there is no worker for %(device)s") % {"device": device}
        raise ServiceError("bad_device", words, ", ".join(kinds.devices()))
    if gpus != 1 and not (kind in kinds.TRAINERS and device.startswith("cuda") and 1 <= gpus <= GPUS_MAX):
        words = _("gpus: from 1 to %(most)d, and more than one only for a training on cuda") % {"most": GPUS_MAX}
        raise ServiceError("bad_device", words, _("choose the device cuda, or one GPU"))
    if (kind in kinds.TRAINERS or kind in (Kind.EVALUATE, Kind.INGEST, Kind.PAIRS, Kind.CODES)) and not datasets:
        raise ServiceError("no_dataset", _("datasets: choose at least one"), _("upload recordings first"))
    if kind in kinds.TRAINERS or kind == Kind.EVALUATE:
        kinds.audio_folders(list(datasets))
    if kind in (Kind.EVALUATE, Kind.SAMPLES) and model_version is None:
        raise ServiceError("no_model", _("model_version: choose one"))
    if kind in (Kind.EXPORT, Kind.SAMPLES) and parent is None:
        raise ServiceError("no_run", _("parent: choose a training run"))
    job = Job(
        kind=kind,
        name=name.strip() or str(Kind(kind).label),
        config={**(config or {}), **({"gpus": gpus} if gpus > 1 else {})},
        device=device,
        queue=kinds.queue_for(kind, device),
        parent=parent,
        model_version=model_version,
        created_by_id=user.pk if user is not None else None,
        total=int((config or {}).get("values", {}).get("steps") or 0),
    )
    job_save(job)
    job.datasets.set(datasets)
    _send(job)
    return job


@transaction.atomic
def job_cancel(*, job_id: UUID) -> Job:
    """Ask a job to stop. A running one writes a checkpoint first, and can be resumed. Raises ServiceError job_over."""
    job = job_locked(job_id)
    if job.is_over:
        raise ServiceError("job_over", _("this job is over already"), _("resume or clone it"))
    if job.status in (Status.QUEUED, Status.INTERRUPTED) and not job.cancel_requested and not job.attempt:
        job.status = Status.CANCELLED
        job.ended_at = timezone.now()
        job.message = str(_("cancelled before it started"))
        return job_save(job)
    job.cancel_requested = True
    if job.status == Status.RUNNING:
        job.status = Status.STOPPING
    elif job.status == Status.INTERRUPTED:  # its process may live on: a supervisor has to look, and stop it
        job.status = Status.QUEUED
        _send(job, save=False)
    return job_save(job)


@transaction.atomic
def job_resume(*, job_id: UUID) -> Job:
    """Queue a job again that was cancelled, failed or was interrupted; it goes on from its last checkpoint.

    Raises:
        ServiceError: job_not_over, or checkpoints_expired (see ``retention``).
    """
    job = job_locked(job_id)
    if job.status not in (Status.CANCELLED, Status.FAILED, Status.INTERRUPTED):
        raise ServiceError("job_not_over", _("only a job that stopped can be resumed"), _("wait, or cancel it first"))
    if job.step and retention.checkpoints_expired(job):  # else it would begin anew without a word
        words = _("its checkpoints were removed %(days)d days after its end") % {"days": retention.CHECKPOINT_DAYS}
        raise ServiceError(
            "checkpoints_expired", words, _("clone it; its best weights can be where the new one starts")
        )
    job.status = Status.QUEUED
    job.cancel_requested = False
    job.fruitless = 0
    job.message = job.advice = ""
    job.ended_at = None
    job.eta_seconds = None
    _send(job, save=False)
    return job_save(job)


def job_delete(*, job_id: UUID) -> None:
    """Remove a job that is over, with its folder (registered models stay). Raises ServiceError job_not_over."""
    with transaction.atomic():
        job = job_locked(job_id)
        if not job.is_over:
            raise ServiceError("job_not_over", _("this job is not over"), _("cancel it first"))
        job.delete()
    shutil.rmtree(run_folder(job_id), ignore_errors=True)


def _send(job: Job, *, save: bool = True) -> None:
    job.sent_at = timezone.now()
    if save:
        job.save(update_fields=["sent_at"])
    send_job_on_commit(job_id=job.pk, queue=job.queue)
