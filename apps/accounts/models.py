"""What belongs to a person: tokens for programs, and answers kept so that a retry does nothing twice."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a token may be used for; its owner's permissions bound it further."""

    READ = "read", _("read")
    CONFIG_WRITE = "config:write", _("change voices, emotions, sessions and recordings")
    TRAIN = "train", _("datasets, training jobs and models")
    CHAT = "chat", _("talk: open sessions and their sockets")


def check_scopes(value: object) -> None:
    """Validator: a list of known scopes, each once, at least one."""
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        raise ValidationError(_("Choose at least one scope, each once."))
    unknown = sorted(str(scope) for scope in value if scope not in Scope.values)
    if unknown:
        raise ValidationError(_("Unknown scope: %(scope)s."), params={"scope": ", ".join(unknown)})


class ApiToken(models.Model):
    """A secret with which a program acts for a person.

    The secret is shown once, when it is made; stored is its SHA-256 (it has 256 random bits: nothing to slow down).
    ``hint`` is its beginning, by which its owner tells tokens apart. ``last_used_at`` is written at most once a minute.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(_("name"), max_length=80, help_text=_("Where this token is used, in your own words."))
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    hint = models.CharField(_("begins with"), max_length=16, editable=False)
    scopes = models.JSONField(_("scopes"), validators=[check_scopes])
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor expired, and its owner may still log in. Reads ``user``."""
        return self.revoked_at is None and self.expires_at > now and self.user.is_active


class IdempotentAnswer(models.Model):
    """The answer to a creation that carried an ``Idempotency-Key``, given again to a retry of the same request.

    Rows older than a day are removed.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(null=True)
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotentanswer_once")]

    def __str__(self) -> str:
        return self.key
