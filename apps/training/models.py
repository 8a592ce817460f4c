"""What people train with (datasets), what runs (jobs), what came out (model versions), and who works (heartbeats)."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

SHA256 = RegexValidator(r"\A[0-9a-f]{64}\Z", _("64 hexadecimal digits, lower case"))


class Dataset(models.Model):
    """Recordings to train with. Audio and manifest lie in ``folder``; the row holds what lists and plots need.

    ``uploads/`` in the folder is what people sent, ``audio/`` and ``manifest.jsonl`` what an ingest job made of it
    (16 kHz mono FLAC, a JSON row per clip). The manifest is the reference to the utterances: they are no rows, since
    one dataset may hold a million of them. States::

        dataset_create ──► open ──ingest started──► ingesting ──► ready ──(more files)──► open
                             ▲                          │
                             └──────── failed ◄─────────┘
    """

    class Source(models.TextChoices):
        UPLOAD = "upload", _("uploaded files")
        CONVERSATION = "conversation", _("conversations")
        SYNTHESIS = "synthesis", _("made by synthesis")

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        INGESTING = "ingesting", _("being ingested")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    licence = models.CharField(
        _("licence"), max_length=120, blank=True, help_text=_("Goes into the card of every model trained on it.")
    )
    source = models.CharField(_("source"), max_length=12, choices=Source, default=Source.UPLOAD)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    message = models.CharField(_("message"), max_length=500, blank=True)
    files = models.PositiveIntegerField(_("files sent"), default=0)
    bytes = models.PositiveBigIntegerField(_("bytes sent"), default=0)
    clips = models.PositiveIntegerField(_("clips"), default=0)
    seconds = models.FloatField(_("seconds"), default=0.0, validators=[MinValueValidator(0.0)])
    speakers = models.PositiveIntegerField(_("speakers"), default=0)
    manifest_sha256 = models.CharField(_("SHA-256 of the manifest"), max_length=64, blank=True, validators=[SHA256])
    stats = models.JSONField(_("figures"), default=dict, blank=True)
    lineage = models.JSONField(_("lineage"), default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("made by"), null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["open", "ingesting", "ready", "failed"]), name="dataset_status_known"
            ),
            models.CheckConstraint(
                condition=Q(source__in=["upload", "conversation", "synthesis"]), name="dataset_source_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def hours(self) -> float:
        return self.seconds / 3600.0


class Job(models.Model):
    """One run of a ``python -m ml …`` command. The truth is this row; messages and processes follow it.

    States::

        job_create ──► queued ──supervisor took it──► starting ──process runs──► running ──exit 0──► succeeded
                         │  ▲                            │                        │  │
                         │  │                            └─── cannot start ───────│──┴──exit ≠ 0──► failed
                         │  │                                                     │
                     job_cancel                                               job_cancel
                         │  │                                                     ▼
                         │  │                        checkpoint, exit  ◄──── stopping (SIGTERM, SIGKILL after grace)
                         ▼  │                              │
                     cancelled ◄───────────────────────────┘
                            │
          re-queued with    │  reaper: lease_until passed, or the supervisor's process is gone;
          the same folder   │  a worker that is asked to stop; a trainer that was killed
                        interrupted ──── max_fruitless times without a new step ────► failed

        cancelled | failed | interrupted ──job_resume──► queued      (goes on from the last checkpoint)

    ``lease_until`` is renewed by the supervisor that holds ``supervisor`` (a random token: whoever finds another one
    there has been replaced and lets go). ``attempt`` counts starts of a process, ``fruitless`` those since the last
    that got further than the one before. ``progress`` is 0..1. Metric rows are not here but in ``metrics.jsonl`` of
    the run's folder; ``metrics`` is the last of each. ``artefacts`` are files relative to that folder.
    """

    class Kind(models.TextChoices):
        INGEST = "ingest", _("ingest")
        PAIRS = "pairs", _("make pairs")
        CODES = "codes", _("encode pairs")
        TRAIN_CODEC = "train_codec", _("train the codec")
        TRAIN_S2S = "train_s2s", _("train speech to speech")
        TRAIN_RECOGNISER = "train_recogniser", _("train the recogniser")
        SAMPLES = "samples", _("samples to compare")
        EVALUATE = "evaluate", _("evaluate")
        EXPORT = "export", _("export")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        STARTING = "starting", _("starting")
        RUNNING = "running", _("running")
        STOPPING = "stopping", _("stopping")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        INTERRUPTED = "interrupted", _("interrupted")

    ACTIVE = (Status.STARTING, Status.RUNNING, Status.STOPPING)
    """States in which a supervisor holds the lease."""
    FINAL = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    name = models.CharField(_("name"), max_length=120)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    queue = models.CharField(_("queue"), max_length=8, default="cpu")
    device = models.CharField(_("device"), max_length=16, default="cpu")
    config = models.JSONField(_("configuration"), default=dict, blank=True)
    datasets = models.ManyToManyField(Dataset, verbose_name=_("datasets"), blank=True, related_name="jobs")
    parent = models.ForeignKey(
        "self", verbose_name=_("made from"), null=True, blank=True, on_delete=models.SET_NULL, related_name="children"
    )
    model_version = models.ForeignKey(
        "ModelVersion", verbose_name=_("model"), null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=0)
    fruitless = models.PositiveSmallIntegerField(_("attempts without progress"), default=0)
    supervisor = models.CharField(_("supervisor"), max_length=32, blank=True)
    worker = models.CharField(_("worker"), max_length=200, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    pid = models.PositiveIntegerField(_("process"), null=True, blank=True)
    cancel_requested = models.BooleanField(_("asked to stop"), default=False)
    step = models.PositiveBigIntegerField(_("step"), default=0)
    start_step = models.PositiveBigIntegerField(_("step at the last start"), default=0)
    total = models.PositiveBigIntegerField(_("steps"), default=0)
    progress = models.FloatField(
        _("progress"), default=0.0, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)]
    )
    eta_seconds = models.PositiveIntegerField(_("seconds left"), null=True, blank=True)
    stage = models.CharField(_("stage"), max_length=200, blank=True)
    metrics = models.JSONField(_("metrics"), default=dict, blank=True)
    usage = models.JSONField(_("memory and processor"), default=dict, blank=True)
    result = models.JSONField(_("result"), default=dict, blank=True)
    artefacts = models.JSONField(_("artefacts"), default=list, blank=True)
    message = models.CharField(_("message"), max_length=500, blank=True)
    advice = models.CharField(_("what to do"), max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("made by"), null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    sent_at = models.DateTimeField(_("message sent"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "lease_until"], name="job_status_lease"),
            models.Index(fields=["-created_at"], name="job_created"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "queued",
                        "starting",
                        "running",
                        "stopping",
                        "succeeded",
                        "failed",
                        "cancelled",
                        "interrupted",
                    ]
                ),
                name="job_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["starting", "running", "stopping"], lease_until__isnull=False)
                & ~Q(supervisor="")
                | ~Q(status__in=["starting", "running", "stopping"]) & Q(lease_until__isnull=True, supervisor=""),
                name="job_lease_while_active",
            ),
            models.CheckConstraint(condition=Q(queue__in=["io", "cpu", "gpu"]), name="job_queue_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    @property
    def is_training(self) -> bool:
        return self.kind.startswith("train_")

    @property
    def is_over(self) -> bool:
        return self.status in self.FINAL


class DeviceLease(models.Model):
    """Who computes on a device. One row per device, held by one job's supervisor at a time; a lease like the job's.

    ``device`` is ``HOST:cpu`` or ``HOST:cuda:0``.
    """

    device = models.CharField(_("device"), max_length=220, primary_key=True)
    job = models.ForeignKey(Job, verbose_name=_("job"), null=True, blank=True, on_delete=models.SET_NULL)
    supervisor = models.CharField(_("supervisor"), max_length=32, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        ordering = ["device"]

    def __str__(self) -> str:
        return self.device


class ModelVersion(models.Model):
    """One set of weights, known by the sha256 of its file; ``card`` is the JSON beside it (config, data, metrics).

    Stages::

        staged ──promote──► production ──another is promoted──► retired
           ▲                                                        │
           │                                                        │ roll back
           └ registered (export job, shipped weights)   production ◄┘

    Per kind and preset at most one version is in production. ``job`` is the run that made it, ``parent`` the version
    it started from.
    """

    class Kind(models.TextChoices):
        CODEC = "codec", _("codec")
        S2S = "s2s", _("speech to speech")
        RECOGNISER = "recogniser", _("recogniser")

    class Stage(models.TextChoices):
        STAGED = "staged", _("staged")
        PRODUCTION = "production", _("production")
        RETIRED = "retired", _("retired")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    preset = models.CharField(_("preset"), max_length=40)
    version = models.CharField(_("version"), max_length=40)
    file = models.CharField(
        _("file"), max_length=200, help_text=_("Relative to the folder of weights, or to the run-time folder's models.")
    )
    sha256 = models.CharField(_("SHA-256"), max_length=64, unique=True, validators=[SHA256])
    card = models.JSONField(_("card"), default=dict)
    metrics = models.JSONField(_("metrics"), default=dict, blank=True)
    job = models.ForeignKey(
        Job, verbose_name=_("made by job"), null=True, blank=True, on_delete=models.SET_NULL, related_name="versions"
    )
    parent = models.ForeignKey(
        "self",
        verbose_name=_("started from"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
    )
    stage = models.CharField(_("stage"), max_length=12, choices=Stage, default=Stage.STAGED)
    promoted_at = models.DateTimeField(_("promoted"), null=True, blank=True)
    created_at = models.DateTimeField(_("registered"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at", "-id"]
        permissions = [("promote_modelversion", "Can promote and roll back model versions")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "preset"], condition=Q(stage="production"), name="modelversion_one_in_production"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["codec", "s2s", "recogniser"]), name="modelversion_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["staged", "production", "retired"]), name="modelversion_stage_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.preset}@{self.sha256[:12]}"


class TrainingConsent(models.Model):
    """Somebody agrees that their words, where an operator marked them good, may be learned from. The row is the leave:
    withdrawn, it is gone. Of a user, or of a guest known by ``guest_key``."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="training_consent",
    )
    guest_key = models.CharField(_("guest key"), max_length=64, blank=True, db_index=True)
    given_at = models.DateTimeField(_("given"), auto_now_add=True)

    class Meta:
        verbose_name = _("consent to training")
        verbose_name_plural = _("consents to training")
        ordering = ["-given_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, guest_key="") | (Q(owner__isnull=True) & ~Q(guest_key="")),
                name="consent_owner_or_guest",
            ),
            models.UniqueConstraint(fields=["guest_key"], condition=~Q(guest_key=""), name="consent_guest_once"),
        ]

    def __str__(self) -> str:
        return str(self.owner or _("guest"))


class WorkerHeartbeat(models.Model):
    """When a queue's workers last finished a heartbeat task.

    A worker can stop consuming while its process lives on (seen after Redis reconnects), so that health is the age
    of this row, not a process being there.
    """

    queue = models.CharField(_("queue"), max_length=20, primary_key=True)
    worker = models.CharField(_("worker"), max_length=200)
    beat_at = models.DateTimeField(_("last heartbeat"))

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")
        ordering = ["queue"]

    def __str__(self) -> str:
        return f"{self.queue}: {self.worker}"
