"""The life of a session. States and times: the docstring of :class:`apps.voice.models.VoiceSession`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack
from uuid import UUID

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.voice.access import same_guest
from apps.voice.errors import ResumeExpired, ServiceError, TakenOver
from apps.voice.models import GENERATION_MAX, VoiceSession
from apps.voice.services.configuration import Dials, apply_defaults, apply_wishes
from apps.voice.services.rows import check, locked_session, locked_sessions, save, save_with_event
from apps.voice.tokens import new_token, token_hash

Status = VoiceSession.Status
Person = AbstractBaseUser | AnonymousUser | None

RESUME_GENERATION_STEP = 64
"""A resume goes on with a generation certainly above any the client has seen: the row learns of interrupts only with
the next renewal, and a killed process takes the last ones with it."""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A live session, and the token (shown only here) that resumes it."""

    session: VoiceSession
    resume_token: str


@transaction.atomic
def session_open(
    *,
    user: Person,
    guest_key: str,
    mode: str,
    turn_taking: str,
    speaker: str | None,
    emotion: str | None,
    quantizers: int,
    client: str = "",
    **dials: Unpack[Dials],
) -> OpenedSession:
    """Begin a session. Without ``speaker`` and ``emotion`` (slugs) it begins with what this person chose last, else
    with the site's own.

    Raises:
        ServiceError: login_required, unknown_speaker, unknown_emotion or bad_value.
    """
    owner = user if isinstance(user, User) else None
    if owner is None and not settings.VOICE_ALLOW_GUESTS:
        raise ServiceError("login_required", "guests may not talk here", "log in first")
    if owner is None and not guest_key:
        raise ServiceError("login_required", "a guest needs a guest key", "open the talk page first, or log in")
    now = timezone.now()
    token = new_token()
    session = VoiceSession(
        owner=owner,
        guest_key="" if owner else guest_key,
        mode=mode,
        turn_taking=turn_taking,
        quantizers=quantizers,
        client=client,
        status=Status.LIVE,
        created_at=now,
        last_seen=now,
        lease_until=now + _lease(),
        resume_hash=token_hash(token),
    )
    apply_wishes(session, {**dials, "speaker": speaker, "emotion": emotion})
    apply_defaults(session)
    check(session)
    session.save(force_insert=True)
    return OpenedSession(session, token)


@transaction.atomic
def session_resume(*, token: str, user: Person, guest_key: str) -> OpenedSession:
    """Go on with a session after its socket was lost (or while the old one is still half open). The token changes.

    Raises:
        ResumeExpired: too late, used before, unknown, or not this person's.
    """
    session = locked_sessions().filter(resume_hash=token_hash(token)).exclude(resume_hash="").first()
    if session is None or not _belongs(session, user, guest_key):
        raise ResumeExpired
    if _resume_deadline(session) <= timezone.now():
        raise ResumeExpired
    return _revive(session)


@transaction.atomic
def session_revive(*, session_id: UUID) -> OpenedSession:
    """Go on with a session that the caller has proved to be its own. Raises ResumeExpired: it has ended."""
    session = locked_session(session_id)
    if session.status == Status.ENDED:
        raise ResumeExpired
    return _revive(session)


def _revive(session: VoiceSession) -> OpenedSession:
    now, fresh = timezone.now(), new_token()
    session.status = Status.LIVE
    session.resume_hash = token_hash(fresh)
    session.resume_until = None
    session.last_seen = now
    session.lease_until = now + _lease()
    session.generation = min(session.generation + RESUME_GENERATION_STEP, GENERATION_MAX)
    save_with_event(session, "resumed")
    return OpenedSession(session, fresh)


@transaction.atomic
def session_renew(*, session_id: UUID, holder: str | None = None, generation: int | None = None) -> VoiceSession:
    """Prove that the session lives; returns its row as it now is (a listener learns here of changes it missed).

    An ended session is returned as it is. A suspended one (the lease ran out while the process stalled) is live again.

    Raises:
        TakenOver: another connection resumed it.
        ServiceError: unknown_session.
    """
    session = locked_session(session_id)
    if not _holds(session, holder):
        raise TakenOver
    if session.status == Status.ENDED:
        return session
    now = timezone.now()
    session.status = Status.LIVE
    session.last_seen = now
    session.lease_until = now + _lease()
    session.resume_until = None
    _raise_generation(session, generation)
    save(session)
    return session


@transaction.atomic
def session_suspend(
    *, session_id: UUID, holder: str | None = None, generation: int | None = None, fault: str = ""
) -> None:
    """The socket is gone: the session waits for its token. Nothing happens if it ended or was taken over.

    ``fault`` is the code with which we closed it, "" when the client left by itself.
    """
    session = locked_session(session_id)
    if session.status != Status.LIVE or not _holds(session, holder):
        return
    now = timezone.now()
    _raise_generation(session, generation)
    session.last_fault = fault or session.last_fault
    _suspend(session, last_seen=now, resume_until=now + _resume_window())


@transaction.atomic
def session_end(*, session_id: UUID, reason: str, holder: str | None = None) -> None:
    """End for good; its token opens nothing any more. Nothing happens if it ended before or was taken over."""
    session = locked_session(session_id)
    if session.status == Status.ENDED or not _holds(session, holder):
        return
    _end(session, reason, timezone.now())


def sessions_reap(*, now: datetime | None = None) -> int:
    """Suspend live sessions whose lease ran out, end those whose time to resume is over. Returns how many changed.

    One transaction per row: the reaper holds no lock that a renewal of another session would wait for.
    """
    moment = timezone.now() if now is None else now
    due = Q(status=Status.LIVE, lease_until__lte=moment) | Q(status=Status.SUSPENDED, resume_until__lte=moment)
    return sum(_reap(pk, moment) for pk in VoiceSession.objects.filter(due).values_list("pk", flat=True))


@transaction.atomic
def _reap(session_id: UUID, now: datetime) -> bool:
    session = locked_sessions().filter(pk=session_id).first()
    if session is None or session.status == Status.ENDED:
        return False
    if session.status == Status.LIVE and session.lease_until is not None and session.lease_until > now:
        return False  # renewed since the list was read
    deadline = _resume_deadline(session)
    if deadline <= now:
        _end(session, "expired", now)
    elif session.status == Status.LIVE:
        _suspend(session, last_seen=session.last_seen, resume_until=deadline)
    else:
        return False
    return True


def _lease() -> timedelta:
    return timedelta(seconds=settings.VOICE_LEASE_SECONDS)


def _resume_window() -> timedelta:
    return timedelta(seconds=settings.VOICE_RESUME_SECONDS)


def _belongs(session: VoiceSession, user: Person, guest_key: str) -> bool:
    if session.owner_id is not None:
        return isinstance(user, User) and user.pk == session.owner_id
    return not isinstance(user, User) and same_guest(session.guest_key, guest_key)


def _holds(session: VoiceSession, holder: str | None) -> bool:
    # An ended session has no hash any more: whoever held it may read that it ended.
    return holder is None or session.status == Status.ENDED or session.resume_hash == token_hash(holder)


def _resume_deadline(session: VoiceSession) -> datetime:
    """Until when the token is good. A live row's socket may be gone without a word: its lease, then the window."""
    if session.resume_until is not None:
        return session.resume_until
    return (session.lease_until or session.last_seen) + _resume_window()


def _raise_generation(session: VoiceSession, generation: int | None) -> None:
    if generation is not None:
        session.generation = max(session.generation, min(generation, GENERATION_MAX))


def _suspend(session: VoiceSession, *, last_seen: datetime, resume_until: datetime) -> None:
    session.status = Status.SUSPENDED
    session.last_seen = last_seen
    session.lease_until = None
    session.resume_until = resume_until
    save(session)


def _end(session: VoiceSession, reason: str, now: datetime) -> None:
    session.status = Status.ENDED
    session.end_reason = reason or "unknown"
    session.ended_at = now
    session.lease_until = None
    session.resume_hash = ""
    session.resume_until = None
    save_with_event(session, "ended")
