"""A conversation (session) and what was said in it (turns)."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.speakers.models import ENERGY_DB, INTENSITY, PITCH_SEMITONES, RATE, Emotion, Speaker, VoiceBlend
from apps.voice.storage import turn_audio_path, turn_codes_path, turn_output_path

QUANTIZERS = (1, 8)
GENERATION_MAX = 2**32 - 1
ACCENT = (0.0, 1.0)
ENDPOINT_MS = (100, 5000)


def _within(bounds: tuple[float, float]) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(bounds[0]), MaxValueValidator(bounds[1])]


class VoiceSession(models.Model):
    """One conversation of one person, over one or more sockets. The truth is this row, never a socket.

    States::

        session_open
             │
             ▼    session_suspend (socket closed), or reaper: lease_until passed
           live ────────────────────────────────────────────────────────► suspended
             │  ◄──────────────────────────────────────────────────────────  │
             │    session_resume with the token, until resume_until           │
             │                                                                │
             │  session_end                      session_end, or reaper:      │
             └───────────────► ended ◄──────────  resume_until passed ────────┘

    Times, with the defaults::

        t=0 open    5 s renew   10 s renew    (web process killed here)
         │           │           │
         └ lease 15 s└ lease 20 s└ lease_until = 25 s ──► suspended ──► resume_until = 85 s ──► ended
                                   VOICE_LEASE_SECONDS      VOICE_RESUME_SECONDS

    ``last_seen``: the last proof of life. ``resume_hash``: SHA-256 of the only token that resumes this session (the
    token itself is never stored, and each resume replaces it). ``generation``: number of the response being played;
    it never falls. ``event_seq``: number of the last event sent about this row; a listener that missed one re-reads.
    ``last_fault``: the code with which its last connection was closed for a fault, "" if it never was.
    The owner is a user, or a guest known by ``guest_key``, never both.

    The voice of the answers is the blend's if there is one, else the speaker's, shifted by the session's own dials:
    ``pitch_semitones`` and ``energy_db`` are added, ``rate`` multiplies; ``accent`` and ``intensity`` replace (None:
    what the voice and the emotion bring). ``endpoint_min_ms`` and ``endpoint_max_ms`` bound how long a silence ends
    what the user says (None: the inference server's defaults). ``memory_from`` is the number of the first turn that the
    model may remember.
    """

    class Mode(models.TextChoices):
        TALK = "talk", _("talk")
        RECONSTRUCT = "reconstruct", _("reconstruct")

    class TurnTaking(models.TextChoices):
        STREAM = "stream", _("stream")
        TURN = "turn", _("turn by turn")
        PUSH = "push", _("push to talk")

    class KeepAudio(models.TextChoices):
        YES = "yes", _("audio and codes")
        CODES = "codes", _("codes only")
        NOTHING = "nothing", _("nothing")

    class Status(models.TextChoices):
        LIVE = "live", _("live")
        SUSPENDED = "suspended", _("suspended")
        ENDED = "ended", _("ended")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="voice_sessions",
    )
    guest_key = models.CharField(_("guest key"), max_length=64, blank=True, db_index=True)
    speaker = models.ForeignKey(
        Speaker, verbose_name=_("speaker"), null=True, blank=True, on_delete=models.PROTECT, related_name="sessions"
    )
    emotion = models.ForeignKey(
        Emotion, verbose_name=_("emotion"), null=True, blank=True, on_delete=models.PROTECT, related_name="sessions"
    )
    blend = models.ForeignKey(
        VoiceBlend,
        verbose_name=_("voice blend"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="sessions",
    )
    mix_speaker = models.ForeignKey(
        Speaker,
        verbose_name=_("mixed with"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    mix_share = models.FloatField(_("share of the one mixed in"), default=0.5, validators=_within(INTENSITY))
    mode = models.CharField(_("mode"), max_length=12, choices=Mode)
    turn_taking = models.CharField(_("turn-taking"), max_length=8, choices=TurnTaking, default=TurnTaking.STREAM)
    quantizers = models.PositiveSmallIntegerField(
        _("quantizers"), default=8, validators=[MinValueValidator(QUANTIZERS[0]), MaxValueValidator(QUANTIZERS[1])]
    )
    pitch_semitones = models.FloatField(_("pitch (semitones)"), default=0.0, validators=_within(PITCH_SEMITONES))
    energy_db = models.FloatField(_("energy (dB)"), default=0.0, validators=_within(ENERGY_DB))
    rate = models.FloatField(_("rate"), default=1.0, validators=_within(RATE))
    accent = models.FloatField(_("accent"), null=True, blank=True, validators=_within(ACCENT))
    intensity = models.FloatField(_("intensity"), null=True, blank=True, validators=_within(INTENSITY))
    keep_audio = models.CharField(_("keep audio"), max_length=8, choices=KeepAudio, default=KeepAudio.YES)
    endpoint_min_ms = models.PositiveIntegerField(
        _("shortest silence that ends a turn (ms)"), null=True, blank=True, validators=_within(ENDPOINT_MS)
    )
    endpoint_max_ms = models.PositiveIntegerField(
        _("longest silence within a turn (ms)"), null=True, blank=True, validators=_within(ENDPOINT_MS)
    )
    memory_from = models.PositiveIntegerField(_("remembered from turn"), default=0)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.LIVE)
    end_reason = models.CharField(_("end reason"), max_length=40, blank=True)
    last_seen = models.DateTimeField(_("last seen"))
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    resume_hash = models.CharField(_("hash of the resume token"), max_length=64, blank=True)
    resume_until = models.DateTimeField(_("can be resumed until"), null=True, blank=True)
    generation = models.PositiveBigIntegerField(
        _("generation"), default=0, validators=[MaxValueValidator(GENERATION_MAX)]
    )
    event_seq = models.PositiveBigIntegerField(_("event number"), default=0)
    client = models.CharField(_("client"), max_length=200, blank=True)
    last_fault = models.CharField(_("last fault"), max_length=40, blank=True)
    created_at = models.DateTimeField(_("began"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("voice session")
        verbose_name_plural = _("voice sessions")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "lease_until"], name="session_status_lease"),
            models.Index(fields=["status", "resume_until"], name="session_status_resume"),
            models.Index(fields=["-created_at"], name="session_created"),
            # Live ones first, then by their end, as operators see them (Postgres: nulls come first when descending).
            models.Index(F("ended_at").desc(), F("status"), F("created_at").desc(), name="session_live_first"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, guest_key="") | (Q(owner__isnull=True) & ~Q(guest_key="")),
                name="session_owner_or_guest",
                violation_error_message=_("A session belongs to a user or to a guest, never to both or none."),
            ),
            models.CheckConstraint(condition=Q(quantizers__range=QUANTIZERS), name="session_quantizers_range"),
            models.CheckConstraint(condition=Q(generation__range=(0, GENERATION_MAX)), name="session_generation_range"),
            models.CheckConstraint(condition=Q(mode__in=["talk", "reconstruct"]), name="session_mode_known"),
            models.CheckConstraint(
                condition=Q(turn_taking__in=["stream", "turn", "push"]), name="session_turn_taking_known"
            ),
            models.CheckConstraint(
                condition=Q(keep_audio__in=["yes", "codes", "nothing"]), name="session_keep_audio_known"
            ),
            models.CheckConstraint(condition=Q(pitch_semitones__range=PITCH_SEMITONES), name="session_pitch_range"),
            models.CheckConstraint(condition=Q(energy_db__range=ENERGY_DB), name="session_energy_range"),
            models.CheckConstraint(condition=Q(rate__range=RATE), name="session_rate_range"),
            models.CheckConstraint(condition=Q(mix_share__range=INTENSITY), name="session_mix_share_range"),
            models.CheckConstraint(
                condition=Q(accent__isnull=True) | Q(accent__range=ACCENT), name="session_accent_range"
            ),
            models.CheckConstraint(
                condition=Q(intensity__isnull=True) | Q(intensity__range=INTENSITY), name="session_intensity_range"
            ),
            models.CheckConstraint(
                condition=Q(endpoint_min_ms__isnull=True)
                | Q(endpoint_max_ms__isnull=True)
                | Q(endpoint_min_ms__lte=F("endpoint_max_ms")),
                name="session_endpoint_order",
                violation_error_message=_("endpoint_min_ms may not be above endpoint_max_ms."),
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="live", lease_until__isnull=False, ended_at__isnull=True, end_reason="")
                    | Q(status="suspended", resume_until__isnull=False, ended_at__isnull=True, end_reason="")
                    | (Q(status="ended", ended_at__isnull=False, resume_hash="") & ~Q(end_reason=""))
                ),
                name="session_status_consistent",
            ),
            models.UniqueConstraint(
                fields=["resume_hash"], condition=~Q(resume_hash=""), name="session_resume_hash_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_mode_display()} {str(self.id)[:8]}"

    @property
    def mix(self) -> str | None:
        """Slug of the voice that is mixed in."""
        return self.mix_speaker.slug if self.mix_speaker else None


class VoicePreference(models.Model):
    """What a person chose last: the next session begins with it. Of a user, or of a guest's browser."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="voice_preference",
    )
    guest_key = models.CharField(_("guest key"), max_length=64, blank=True)
    speaker = models.ForeignKey(
        Speaker, verbose_name=_("speaker"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    emotion = models.ForeignKey(
        Emotion, verbose_name=_("emotion"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    rate = models.FloatField(_("rate"), default=1.0, validators=_within(RATE))
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("voice preference")
        verbose_name_plural = _("voice preferences")
        constraints = [
            models.UniqueConstraint(fields=["guest_key"], condition=~Q(guest_key=""), name="preference_guest_unique"),
            models.CheckConstraint(
                condition=Q(owner__isnull=False, guest_key="") | (Q(owner__isnull=True) & ~Q(guest_key="")),
                name="preference_owner_or_guest",
            ),
            models.CheckConstraint(condition=Q(rate__range=RATE), name="preference_rate_range"),
        ]

    def __str__(self) -> str:
        return f"{self.owner or _('guest')}"


class SessionTicket(models.Model):
    """Opens one socket for one session within half a minute, for a client that has no cookie there.

    Only the SHA-256 of the ticket is stored; redeeming deletes the row. ``login`` or ``api_token`` is what the ticket's
    owner came with: the socket ends when that does.
    """

    session = models.ForeignKey(VoiceSession, on_delete=models.CASCADE, related_name="tickets")
    digest = models.CharField(max_length=64, unique=True)
    login = models.CharField(max_length=40, blank=True)
    api_token = models.ForeignKey(
        "accounts.ApiToken", null=True, blank=True, on_delete=models.CASCADE, related_name="tickets"
    )
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("session ticket")
        verbose_name_plural = _("session tickets")
        ordering = ["expires_at"]

    def __str__(self) -> str:
        return str(self.session_id)


class Turn(models.Model):
    """One stretch of speech, numbered within its session.

    ``audio`` is what the microphone heard (FLAC, 16 kHz mono), ``output_audio`` what was sent back, ``codes`` the
    codec's codes (.npy, uint16 [levels, frames]). ``start_ms`` is media time within the session, ``interrupted_at_ms``
    how much of the turn had been heard when the other side barged in (never more than ``duration_ms``).
    ``latency`` holds milliseconds by stage: endpoint_ms, queue_ms, encode_ms, decode_ms, server_ms, network_ms,
    playback_ms. ``response_ms``: from the end of the user's speech to the first audio of this answer, as far as the
    server knows. ``mark``: an operator's judgement; good turns may go into a training dataset. Deleting a turn deletes
    its files.
    """

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    class Mark(models.TextChoices):
        GOOD = "good", _("good")
        BAD = "bad", _("bad")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(
        VoiceSession,
        verbose_name=pgettext_lazy("conversation", "session"),
        on_delete=models.CASCADE,
        related_name="turns",
    )
    index = models.PositiveIntegerField(_("number"))
    role = models.CharField(_("role"), max_length=10, choices=Role)
    speaker = models.ForeignKey(
        Speaker, verbose_name=_("speaker"), null=True, blank=True, on_delete=models.PROTECT, related_name="turns"
    )
    emotion = models.ForeignKey(
        Emotion, verbose_name=_("emotion"), null=True, blank=True, on_delete=models.PROTECT, related_name="turns"
    )
    audio = models.FileField(_("audio heard"), upload_to=turn_audio_path, max_length=200, blank=True)
    output_audio = models.FileField(_("audio sent back"), upload_to=turn_output_path, max_length=200, blank=True)
    codes = models.FileField(_("codes"), upload_to=turn_codes_path, max_length=200, blank=True)
    started_at = models.DateTimeField(_("began"))
    ended_at = models.DateTimeField(_("ended"))
    start_ms = models.PositiveBigIntegerField(_("start (ms)"))
    duration_ms = models.PositiveIntegerField(_("duration (ms)"))
    interrupted_at_ms = models.PositiveIntegerField(_("interrupted at (ms)"), null=True, blank=True)
    response_ms = models.PositiveIntegerField(_("response (ms)"), null=True, blank=True)
    caption = models.TextField(_("caption (approximate)"), blank=True)
    latency = models.JSONField(_("latency (ms)"), default=dict, blank=True)
    model_versions = models.JSONField(_("models"), default=dict, blank=True)
    stats = models.JSONField(_("figures"), default=dict, blank=True)
    mark = models.CharField(_("mark"), max_length=4, choices=Mark, blank=True)
    mark_note = models.CharField(_("note"), max_length=500, blank=True)
    marked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("marked by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    marked_at = models.DateTimeField(_("marked"), null=True, blank=True)

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        ordering = ["session", "index"]
        # Partial where few rows are meant: most turns carry no mark, only answers have a response time.
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="turn_started"),
            models.Index(fields=["role", "-started_at"], name="turn_role_started"),
            models.Index(fields=["mark", "-started_at"], name="turn_marked", condition=~Q(mark="")),
            models.Index(
                fields=["session", "response_ms"], name="turn_response", condition=Q(response_ms__isnull=False)
            ),
            models.Index(fields=["response_ms"], name="turn_response_ms", condition=Q(response_ms__isnull=False)),
            models.Index(fields=["-started_at"], name="turn_interrupted", condition=Q(interrupted_at_ms__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["session", "index"], name="turn_index_unique"),
            models.CheckConstraint(condition=Q(role__in=["user", "assistant"]), name="turn_role_known"),
            models.CheckConstraint(condition=Q(mark__in=["", "good", "bad"]), name="turn_mark_known"),
            models.CheckConstraint(condition=Q(ended_at__gte=F("started_at")), name="turn_ends_after_start"),
            models.CheckConstraint(
                condition=Q(interrupted_at_ms__isnull=True) | Q(interrupted_at_ms__lte=F("duration_ms")),
                name="turn_interrupted_within",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.index}"
