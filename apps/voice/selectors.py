"""Reads of sessions and turns."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from apps.accounts.models import Scope
from apps.accounts.selectors import token_still_usable
from apps.speakers.selectors import DEFAULT_SPEAKER, emotions_published, speakers_published
from apps.voice.models import Turn, VoicePreference, VoiceSession
from apps.voice.tokens import token_hash


def turns_visible(*, user: AbstractBaseUser | AnonymousUser) -> QuerySet[Turn]:
    """The turns that a person may hear: their own, or all with the permission ``voice.view_turn``."""
    if not isinstance(user, User):
        return Turn.objects.none()
    return Turn.objects.all() if user.has_perm("voice.view_turn") else Turn.objects.filter(session__owner=user)


def turn_visible(*, turn_id: UUID, user: AbstractBaseUser | AnonymousUser, guest_key: str) -> Turn | None:
    """The turn if this person may hear it: see :func:`turns_visible`; a guest hears those of their session."""
    rows = turns_visible(user=user)
    if not user.is_authenticated and guest_key:
        rows = Turn.objects.filter(session__guest_key=guest_key)
    return rows.select_related("session").filter(pk=turn_id).first()


def preference_of(*, user: User) -> VoicePreference:
    """What a person's sessions begin with; unsaved defaults where nothing is stored."""
    rows = VoicePreference.objects.select_related("speaker", "emotion")
    return rows.filter(owner=user).first() or VoicePreference(owner=user)


def session_turns(*, session_id: UUID) -> QuerySet[Turn]:
    """A session's turns in order."""
    return Turn.objects.filter(session_id=session_id).select_related("speaker", "emotion").order_by("index")


def sessions_for_list() -> QuerySet[VoiceSession]:
    """Sessions with owner and voice, how many turns they have (``turn_total``) and the slowest answer (``slowest_ms``).

    The figures are sub-queries of the rows that are read: a join would count the turns of every session there is.
    """
    turns = Turn.objects.filter(session=OuterRef("pk")).order_by().values("session")
    return VoiceSession.objects.select_related("owner", "speaker", "emotion", "mix_speaker").annotate(
        turn_total=Coalesce(Subquery(turns.annotate(n=Count("pk")).values("n")), 0),
        slowest_ms=Subquery(turns.annotate(slowest=Max("response_ms")).values("slowest")),
    )


def sessions_own(*, user: AbstractBaseUser | AnonymousUser, guest_key: str) -> QuerySet[VoiceSession]:
    """A person's own sessions in which something was said, newest first: a user's, or those of a guest's key."""
    rows: QuerySet[VoiceSession] = sessions_for_list().filter(turns__isnull=False).distinct().order_by("-created_at")
    if isinstance(user, User):
        return rows.filter(owner=user)
    return rows.filter(guest_key=guest_key, owner=None) if guest_key else rows.none()


def session_timeline(*, session_id: UUID) -> list[dict[str, Any]]:
    """The stored recordings of both sides on the session's own time, for a player: who, when (ms), where to hear it."""
    stretches: list[dict[str, Any]] = []
    for turn in session_turns(session_id=session_id):
        for output, stored in ((False, turn.audio), (True, turn.output_audio)):
            if not stored:
                continue
            name = "turn-output" if output else "turn-audio"
            stretches.append(
                {
                    "turn": str(turn.pk),
                    "index": turn.index,
                    "side": "answer" if output or turn.role == Turn.Role.ASSISTANT else "heard",
                    # What is sent back while someone speaks (reconstruct) is heard a response later than it was said.
                    "start": turn.start_ms + (turn.response_ms or 0 if output and turn.role == Turn.Role.USER else 0),
                    "ms": turn.duration_ms,
                    "interrupted": turn.interrupted_at_ms,
                    "audio": reverse(name, args=[turn.pk]),
                    "peaks": reverse(f"{name}-peaks", args=[turn.pk]),
                }
            )
    return stretches


def session_get(*, session_id: UUID) -> VoiceSession | None:
    """The session with its voice and emotion, or None."""
    return VoiceSession.objects.select_related("speaker", "emotion", "mix_speaker").filter(pk=session_id).first()


def session_mode(*, resume: str | None, ticket: str | None) -> str | None:
    """Mode of the session that a resume token or a ticket is for; None: neither is given, or it opens nothing."""
    if ticket is not None:
        rows = VoiceSession.objects.filter(tickets__digest=token_hash(ticket))
    elif resume is not None:
        rows = VoiceSession.objects.filter(resume_hash=token_hash(resume)).exclude(resume_hash="")
    else:
        return None
    return rows.values_list("mode", flat=True).first()


def socket_allowed(
    *, session_key: str | None, user_id: int | None, guest_key: str, api_token_id: int | None = None
) -> bool:
    """May a socket opened earlier stay open? Asked once a minute, since a log-out does not reach open sockets.

    A user's socket needs the user still active and still logged in in that Django session (the hash there covers the
    password: changing it logs the others out); one that a token opened needs the token, not revoked, not expired, with
    the scope to talk. A guest's needs guests still allowed.
    """
    if api_token_id is not None:
        return token_still_usable(token_id=api_token_id, scope=Scope.CHAT, now=timezone.now())
    if user_id is None:
        return bool(settings.VOICE_ALLOW_GUESTS and guest_key)
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None or not session_key:
        return False
    store: SessionBase = import_string(settings.SESSION_ENGINE + ".SessionStore")(session_key)
    return store.get(SESSION_KEY) == str(user_id) and constant_time_compare(
        store.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )


def page_config(
    *, user: AbstractBaseUser | AnonymousUser, ws_path: str, login_url: str, talk: bool = False
) -> dict[str, Any]:
    """What the talk page needs to know, ready for JSON. ``talk``: some inference server serves conversations."""
    speakers = list(speakers_published().values("slug", "name_te", "name_en", "gender", "description"))
    emotions = list(emotions_published().values("slug", "name_te", "name_en", "emoji"))
    slugs = [row["slug"] for row in speakers]
    default = DEFAULT_SPEAKER if DEFAULT_SPEAKER in slugs else next(iter(slugs), None)
    return {
        "ws_path": ws_path,
        "speakers": speakers,
        "emotions": emotions,
        "defaults": {
            "speaker": default,
            "emotion": emotions[0]["slug"] if emotions else None,
            "quantizers": 8,
            "mode": (VoiceSession.Mode.TALK if talk else VoiceSession.Mode.RECONSTRUCT).value,
            "turn_taking": VoiceSession.TurnTaking.STREAM.value,
        },
        "modes": ["talk", "reconstruct"] if talk else ["reconstruct"],
        "limits": {
            "max_ahead_ms": settings.VOICE_MAX_AHEAD_MS,
            "resume_seconds": settings.VOICE_RESUME_SECONDS,
            "quantizers": [1, 8],
        },
        "guests_allowed": settings.VOICE_ALLOW_GUESTS,
        "authenticated": user.is_authenticated,
        "login_url": login_url,
        "debug": settings.VOICE_PAGE_DEBUG,
    }
