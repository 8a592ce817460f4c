"""Which models exist, and whether the workers are alive."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ModelVersion(models.Model):
    """One set of weights, known by the sha256 of its file; ``card`` is the JSON beside it (config, data, metrics).

    Stages::

        staged ──► production ──► retired
           └───────────────────────▲

    Per kind and preset at most one version is in production.
    """

    class Kind(models.TextChoices):
        CODEC = "codec", _("codec")
        S2S = "s2s", _("speech to speech")

    class Stage(models.TextChoices):
        STAGED = "staged", _("staged")
        PRODUCTION = "production", _("production")
        RETIRED = "retired", _("retired")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    preset = models.CharField(_("preset"), max_length=40)
    version = models.CharField(_("version"), max_length=40)
    file = models.CharField(_("file"), max_length=200, help_text=_("Relative to the folder of weights."))
    sha256 = models.CharField(
        _("SHA-256"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[0-9a-f]{64}\Z", _("64 hexadecimal digits, lower case"))],
    )
    card = models.JSONField(_("card"), default=dict)
    stage = models.CharField(_("stage"), max_length=12, choices=Stage, default=Stage.STAGED)
    created_at = models.DateTimeField(_("registered"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "preset"], condition=Q(stage="production"), name="modelversion_one_in_production"
            ),
            models.CheckConstraint(condition=Q(kind__in=["codec", "s2s"]), name="modelversion_kind_known"),
            models.CheckConstraint(
                condition=Q(stage__in=["staged", "production", "retired"]), name="modelversion_stage_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.preset}@{self.sha256[:12]}"


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
