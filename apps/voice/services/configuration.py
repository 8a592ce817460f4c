"""What a session sounds like and how it takes turns: one set of wishes, for opening it and for changing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.speakers import selectors as speakers
from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.voice.access import is_transient
from apps.voice.errors import ServiceError
from apps.voice.models import VoicePreference, VoiceSession
from apps.voice.services.rows import locked_session, locked_sessions, save_with_event

_PLAIN = (
    "quantizers",
    "turn_taking",
    "mode",
    "pitch_semitones",
    "energy_db",
    "rate",
    "accent",
    "intensity",
    "keep_audio",
    "mix_share",
    "endpoint_min_ms",
    "endpoint_max_ms",
)
_WATCHED = ("speaker_id", "emotion_id", "blend_id", "mix_speaker_id", *_PLAIN)
_PREFERRED = ("speaker_id", "emotion_id", "rate")


class Dials(TypedDict, total=False):
    """How a session sounds, is kept and takes turns; a value of None, or an absent one, leaves as it is.

    ``pitch_semitones`` (-12..12) and ``energy_db`` (-12..12) are added to the speaker's own, ``rate`` (0.5..2)
    multiplies it; ``accent`` and ``intensity`` are 0..1. ``mix`` is the slug of a second voice ("" for none), which has
    ``mix_share`` (0..1) of the whole. ``keep_audio`` is yes, codes or nothing; the end-point bounds
    are ms of silence (100..5000).
    """

    pitch_semitones: float | None
    energy_db: float | None
    rate: float | None
    accent: float | None
    intensity: float | None
    keep_audio: str | None
    mix: str | None
    mix_share: float | None
    endpoint_min_ms: int | None
    endpoint_max_ms: int | None


class Wishes(Dials, total=False):
    """Everything of a session that may change: the dials, slugs of speaker, blend and emotion, and how it runs.

    A blend speaks instead of the speaker until it is set to "", or until a speaker is chosen.
    """

    speaker: str | None
    blend: str | None
    emotion: str | None
    quantizers: int | None
    turn_taking: str | None
    mode: str | None


@transaction.atomic
def session_configure(*, session_id: UUID, now: bool = False, **wishes: Unpack[Wishes]) -> VoiceSession:
    """Change what is given. Sends the event "config" when something changed ("config_now" with ``now``).

    A change applies from the next answer on; with ``now`` an answer that is being spoken is cut for it.

    Raises:
        ServiceError: unknown_session, session_ended, unknown_speaker, unknown_emotion or bad_value.
    """
    session = locked_session(session_id)
    if session.status == VoiceSession.Status.ENDED:
        raise ServiceError("session_ended", "this session has ended", "start a new session")
    before = {name: getattr(session, name) for name in _WATCHED}
    apply_wishes(session, wishes)
    changed = {name for name in _WATCHED if getattr(session, name) != before[name]}
    if changed:
        save_with_event(session, "config_now" if now else "config")
        if changed & set(_PREFERRED):
            _remember_preference(session)
    return session


@transaction.atomic
def session_forget(*, session_id: UUID) -> VoiceSession:
    """The model forgets this conversation; stored turns stay. Raises ServiceError: unknown_session."""
    session = locked_session(session_id)
    last = session.turns.order_by("-index").values_list("index", flat=True).first()
    session.memory_from = 0 if last is None else last + 1
    save_with_event(session, "forget")
    return session


@transaction.atomic
def session_interrupt(*, session_id: UUID) -> VoiceSession:
    """Stop the answer that is being spoken. Raises ServiceError: unknown_session, session_ended."""
    session = locked_session(session_id)
    if session.status == VoiceSession.Status.ENDED:
        raise ServiceError("session_ended", "this session has ended", "start a new session")
    save_with_event(session, "interrupt")
    return session


def sessions_voice_changed(*, voice: Speaker | Emotion) -> int:
    """An operator edited ``voice``: live sessions that speak with it read it again. Returns how many were told."""
    field = "speaker_id" if isinstance(voice, Speaker) else "emotion_id"
    live = VoiceSession.objects.filter(status=VoiceSession.Status.LIVE, **{field: voice.pk})
    return sum(_tell(pk) for pk in live.values_list("pk", flat=True))


@transaction.atomic
def _tell(session_id: UUID) -> bool:
    session = locked_sessions().filter(pk=session_id, status=VoiceSession.Status.LIVE).first()
    if session is not None:
        save_with_event(session, "config")
    return session is not None


def apply_wishes(session: VoiceSession, wishes: Mapping[str, object]) -> None:
    """Set what is given on an unsaved or locked row. Raises ServiceError: unknown_speaker, unknown_emotion."""
    speaker, emotion = wishes.get("speaker"), wishes.get("emotion")
    # A voice withdrawn since stays with the session that has it; only a new choice must be published.
    if isinstance(speaker, str) and (session.speaker is None or session.speaker.slug != speaker):
        session.speaker = _chosen_speaker(speaker)
    if isinstance(speaker, str):
        session.blend = None
    if isinstance(blend := wishes.get("blend"), str):
        session.blend = _chosen_blend(blend) if blend else None
    if isinstance(mix := wishes.get("mix"), str) and mix != (session.mix or ""):
        session.mix_speaker = _chosen_speaker(mix) if mix else None
    if isinstance(emotion, str) and (session.emotion is None or session.emotion.slug != emotion):
        session.emotion = _chosen_emotion(emotion)
    for name in _PLAIN:
        if (value := wishes.get(name)) is not None:
            setattr(session, name, value)


def apply_defaults(session: VoiceSession) -> None:
    """Fill in what a new session's wishes left open: the person's preference, else the site's."""
    preference = _preference_of(session)
    if preference is not None:
        if session.speaker is None and preference.speaker is not None and preference.speaker.is_published:
            session.speaker = preference.speaker
        if session.emotion is None and preference.emotion is not None and preference.emotion.is_published:
            session.emotion = preference.emotion
        if session.rate == 1.0:
            session.rate = preference.rate
    if session.speaker is None:
        session.speaker = speakers.speaker_default()
    if session.emotion is None:
        session.emotion = speakers.emotions_published().first()


def _preference_of(session: VoiceSession) -> VoicePreference | None:
    rows = VoicePreference.objects.select_related("speaker", "emotion")
    if session.owner_id is not None:
        return rows.filter(owner_id=session.owner_id).first()
    return rows.filter(guest_key=session.guest_key).first() if settings.VOICE_ALLOW_GUESTS else None


def _remember_preference(session: VoiceSession) -> None:
    if is_transient(session.guest_key):
        return  # such a key is never seen again
    person = {"owner_id": session.owner_id} if session.owner_id else {"guest_key": session.guest_key}
    values = {name: getattr(session, name) for name in _PREFERRED}
    VoicePreference.objects.update_or_create(**person, defaults=values)


def _chosen_speaker(slug: str) -> Speaker:
    speaker = speakers.speaker_published(slug=slug)
    if speaker is None:
        raise ServiceError("unknown_speaker", f"speaker: there is no voice {slug!r}", "choose one from the page's list")
    return speaker


def _chosen_blend(slug: str) -> VoiceBlend:
    blend = VoiceBlend.objects.filter(slug=slug, is_published=True).first()
    if blend is None:
        raise ServiceError("unknown_speaker", f"blend: there is no blend {slug!r}", "choose one that is offered")
    return blend


def _chosen_emotion(slug: str) -> Emotion:
    emotion = speakers.emotion_published(slug=slug)
    if emotion is None:
        raise ServiceError(
            "unknown_emotion", f"emotion: there is no emotion {slug!r}", "choose one from the page's list"
        )
    return emotion
