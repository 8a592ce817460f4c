"""One-use tickets: a session begun by REST is continued on a socket that carries no cookie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import ApiToken
from apps.voice.errors import ResumeExpired, ServiceError
from apps.voice.models import SessionTicket, VoiceSession
from apps.voice.services.configuration import Dials
from apps.voice.services.rows import locked_session
from apps.voice.services.sessions import OpenedSession, session_open, session_revive
from apps.voice.tokens import new_token, token_hash

TICKET_SECONDS = 30
Status = VoiceSession.Status


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """A ticket (shown only here) and until when it is good."""

    session: VoiceSession
    ticket: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RedeemedTicket:
    """A live session, and by what right its socket is open: a Django session's key, or a token."""

    opened: OpenedSession
    login: str
    api_token_id: int | None

    @property
    def session(self) -> VoiceSession:
        return self.opened.session


@transaction.atomic
def session_reserve(
    *,
    user: User,
    login: str,
    api_token: ApiToken | None,
    client: str,
    mode: str,
    turn_taking: str,
    quantizers: int,
    speaker: str | None = None,
    emotion: str | None = None,
    **dials: Unpack[Dials],
) -> IssuedTicket:
    """Begin a session whose socket comes within 30 s; without one it ends by itself.

    Raises:
        ServiceError: as :func:`session_open`.
    """
    opened = session_open(
        user=user,
        guest_key="",
        mode=mode,
        turn_taking=turn_taking,
        speaker=speaker,
        emotion=emotion,
        quantizers=quantizers,
        client=client,
        **dials,
    )
    session = opened.session
    session.status = Status.SUSPENDED
    session.lease_until = None
    session.resume_hash = ""  # nobody holds a token yet: only the ticket opens it
    session.resume_until = timezone.now() + timedelta(seconds=TICKET_SECONDS)
    session.save()
    return ticket_issue(session_id=session.pk, login=login, api_token=api_token)


@transaction.atomic
def ticket_issue(*, session_id: UUID, login: str, api_token: ApiToken | None) -> IssuedTicket:
    """A new ticket for a session, which takes the place of the one before. It keeps a suspended session that long.

    Raises:
        ServiceError: unknown_session or session_ended.
    """
    session = locked_session(session_id)
    if session.status == Status.ENDED:
        raise ServiceError("session_ended", "this session has ended", "start a new session")
    ticket, expires_at = new_token(), timezone.now() + timedelta(seconds=TICKET_SECONDS)
    if session.status == Status.SUSPENDED and (session.resume_until is None or session.resume_until < expires_at):
        session.resume_until = expires_at
        session.save()
    session.tickets.all().delete()
    SessionTicket.objects.create(
        session=session, digest=token_hash(ticket), login=login, api_token=api_token, expires_at=expires_at
    )
    return IssuedTicket(session, ticket, expires_at)


@transaction.atomic
def ticket_redeem(*, ticket: str) -> RedeemedTicket:
    """Use a ticket up: its session is live, and a socket that was still open for it is not the holder any more.

    Raises:
        ResumeExpired: used, too old, unknown, or its owner, login or token is no longer good.
    """
    row = (
        SessionTicket.objects.select_for_update(of=("self",))
        .select_related("session__owner", "api_token__user")
        .filter(digest=token_hash(ticket))
        .first()
    )
    if row is None:
        raise ResumeExpired
    now, token, owner = timezone.now(), row.api_token, row.session.owner
    row.delete()
    if row.expires_at <= now or (token is not None and not token.usable(now)):
        raise ResumeExpired
    if owner is not None and not owner.is_active:
        raise ResumeExpired
    return RedeemedTicket(session_revive(session_id=row.session_id), row.login, row.api_token_id)


def tickets_clear(*, now: datetime | None = None) -> int:
    """Remove tickets that nobody came with in time. Returns how many."""
    return SessionTicket.objects.filter(expires_at__lte=now or timezone.now()).delete()[0]
