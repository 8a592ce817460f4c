"""Who speaks, and in which mood."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

PITCH_SEMITONES = (-12.0, 12.0)
ENERGY_DB = (-12.0, 12.0)
RATE = (0.5, 2.0)
INTENSITY = (0.0, 1.0)
ACCENT = (0.0, 1.0)
WEIGHTS_TOLERANCE = 1e-3


def _between(low: float, high: float) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(low), MaxValueValidator(high)]


class Speaker(models.Model):
    """A voice. ``slug`` is its name on the wire and never changes once sessions refer to it.

    The controls shift the voice away from how its speaker sounds by nature: ``pitch_semitones`` (-12..12),
    ``energy_db`` (-12..12), ``rate`` (0.5..2, 1 is natural), ``accent_strength`` (0..1: how much of its accent).
    """

    class Gender(models.TextChoices):
        FEMALE = "female", _("female")
        MALE = "male", _("male")
        OTHER = "other", _("other")

    class Accent(models.TextChoices):
        STANDARD = "standard", _("standard")
        COASTAL = "coastal", _("Coastal Andhra")
        RAYALASEEMA = "rayalaseema", _("Rayalaseema")
        TELANGANA = "telangana", _("Telangana")

    slug = models.SlugField(_("slug"), max_length=50, unique=True)
    name_te = models.CharField(_("name in Telugu"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    gender = models.CharField(_("gender"), max_length=10, choices=Gender)
    accent = models.CharField(_("accent"), max_length=20, choices=Accent, default=Accent.STANDARD)
    pitch_semitones = models.FloatField(_("pitch (semitones)"), default=0.0, validators=_between(*PITCH_SEMITONES))
    energy_db = models.FloatField(_("energy (dB)"), default=0.0, validators=_between(*ENERGY_DB))
    rate = models.FloatField(_("rate"), default=1.0, validators=_between(*RATE))
    accent_strength = models.FloatField(_("accent strength"), default=0.0, validators=_between(*ACCENT))
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    is_published = models.BooleanField(_("published"), default=False, help_text=_("Only published voices are offered."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    history = HistoricalRecords(excluded_fields=["created_at", "updated_at"])

    class Meta:
        verbose_name = _("speaker")
        verbose_name_plural = _("speakers")
        ordering = ["order", "slug"]
        constraints = [
            models.CheckConstraint(condition=Q(pitch_semitones__range=PITCH_SEMITONES), name="speaker_pitch_range"),
            models.CheckConstraint(condition=Q(energy_db__range=ENERGY_DB), name="speaker_energy_range"),
            models.CheckConstraint(condition=Q(rate__range=RATE), name="speaker_rate_range"),
            models.CheckConstraint(condition=Q(accent_strength__range=ACCENT), name="speaker_accent_range"),
            models.CheckConstraint(condition=Q(gender__in=["female", "male", "other"]), name="speaker_gender_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name_te} ({self.name_en})"


class Emotion(models.Model):
    """A mood or register to speak in. ``slug`` is its name on the wire; ``default_intensity`` is 0..1.

    Its prosody is added to the speaker's own: ``pitch_semitones`` and ``energy_db`` (-12..12), ``rate`` (a factor,
    0.5..2), ``accent`` (0..1); all scale with the intensity.
    """

    slug = models.SlugField(_("slug"), max_length=50, unique=True)
    name_te = models.CharField(_("name in Telugu"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80)
    emoji = models.CharField(_("emoji"), max_length=16, blank=True)
    default_intensity = models.FloatField(_("default intensity"), default=0.5, validators=_between(*INTENSITY))
    pitch_semitones = models.FloatField(_("pitch (semitones)"), default=0.0, validators=_between(*PITCH_SEMITONES))
    energy_db = models.FloatField(_("energy (dB)"), default=0.0, validators=_between(*ENERGY_DB))
    rate = models.FloatField(_("rate"), default=1.0, validators=_between(*RATE))
    accent = models.FloatField(_("accent"), default=0.0, validators=_between(*ACCENT))
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    is_published = models.BooleanField(
        _("published"), default=False, help_text=_("Only published emotions are offered.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    history = HistoricalRecords(excluded_fields=["created_at", "updated_at"])

    class Meta:
        verbose_name = _("emotion")
        verbose_name_plural = _("emotions")
        ordering = ["order", "slug"]
        constraints = [
            models.CheckConstraint(condition=Q(default_intensity__range=INTENSITY), name="emotion_intensity_range"),
            models.CheckConstraint(condition=Q(pitch_semitones__range=PITCH_SEMITONES), name="emotion_pitch_range"),
            models.CheckConstraint(condition=Q(energy_db__range=ENERGY_DB), name="emotion_energy_range"),
            models.CheckConstraint(condition=Q(rate__range=RATE), name="emotion_rate_range"),
            models.CheckConstraint(condition=Q(accent__range=ACCENT), name="emotion_accent_range"),
        ]

    def __str__(self) -> str:
        return f"{self.emoji} {self.name_te} ({self.name_en})".strip()


def check_weights(value: object) -> None:
    """Validator: ``{slug: weight}``, at least two voices, each weight above 0, together 1."""
    if not isinstance(value, dict) or len(value) < 2:
        raise ValidationError(_('A blend needs at least two voices: {"arjun": 0.4, "priya": 0.6}.'))
    for weight in value.values():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
            raise ValidationError(_("Each weight is a number above 0 and at most 1."))
    if abs(sum(value.values()) - 1) > WEIGHTS_TOLERANCE:
        raise ValidationError(
            _("The weights add up to %(sum)s instead of 1."), params={"sum": round(sum(value.values()), 4)}
        )


class VoiceBlend(models.Model):
    """A voice between voices: ``weights`` maps slugs of speakers to their shares, which add up to 1.

    ``slug`` is its name on the wire, as a speaker's.
    """

    slug = models.SlugField(_("slug"), max_length=50, unique=True)
    name_te = models.CharField(_("name in Telugu"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    weights = models.JSONField(
        _("weights"), validators=[check_weights], help_text=_("Shares by slug, which add up to 1.")
    )
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    is_published = models.BooleanField(_("published"), default=False, help_text=_("Only published blends are offered."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    history = HistoricalRecords(excluded_fields=["created_at", "updated_at"])

    class Meta:
        verbose_name = _("voice blend")
        verbose_name_plural = _("voice blends")
        ordering = ["order", "slug"]

    def __str__(self) -> str:
        return f"{self.name_te} ({self.name_en})"

    def clean(self) -> None:
        if isinstance(self.weights, dict):
            known = set(Speaker.objects.filter(slug__in=self.weights).values_list("slug", flat=True))
            if unknown := sorted(set(self.weights) - known):
                words = _("There is no voice named %(slug)s.") % {"slug": ", ".join(unknown)}
                raise ValidationError({"weights": words})
