"""From ``hello`` to a session with a slot: everything that can be refused before audio flows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from asgiref.typing import WebSocketScope
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from apps.voice.access import guest_key_of, transient_guest_key
from apps.voice.errors import ServiceError
from apps.voice.inference_client import InferenceLink, open_link
from apps.voice.models import VoiceSession
from apps.voice.protocol import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    ErrorCode,
    Hello,
    Limits,
    ProtocolFault,
    SessionConfig,
    Welcome,
)
from apps.voice.services import OpenedSession, session_open, session_resume, ticket_redeem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at the other end of a socket."""

    user: User | AnonymousUser
    guest_key: str
    session_key: str | None
    api_token_id: int | None = None

    @property
    def user_id(self) -> int | None:
        return self.user.pk if self.user.is_authenticated else None


@dataclass(frozen=True, slots=True)
class Greeted:
    """A live session: its row as it was at the start, its token, its slot on an inference server."""

    opened: OpenedSession
    link: InferenceLink
    resumed: bool
    person: Person

    @property
    def session(self) -> VoiceSession:
        return self.opened.session

    def welcome(self) -> Welcome:
        return Welcome(
            session=self.session.pk,
            resume_token=self.opened.resume_token,
            resumed=self.resumed,
            generation=self.session.generation,
            config=config_of(self.session),
            limits=Limits(max_ahead_ms=settings.VOICE_MAX_AHEAD_MS, resume_seconds=settings.VOICE_RESUME_SECONDS),
            models={"codec": self.link.codec_model},
        )


async def person_of(scope: WebSocketScope | dict[str, Any]) -> Person:
    """The person behind a socket; looks into the Django session, which may need the database."""
    return await database_sync_to_async(_person_of)(scope)


def _person_of(scope: Any) -> Person:
    session = scope.get("session")
    key = guest_key_of(session) or transient_guest_key()
    return Person(
        user=scope.get("user") or AnonymousUser(),
        guest_key=key,
        session_key=session.session_key if session is not None else None,
        api_token_id=scope.get("api_token_id"),
    )


def config_of(session: VoiceSession) -> SessionConfig:
    """What is in force, as the client is told."""
    return SessionConfig(
        mode="talk" if session.mode == VoiceSession.Mode.TALK else "reconstruct",
        turn_taking="turn" if session.turn_taking == VoiceSession.TurnTaking.TURN else "stream",
        speaker=session.speaker.slug if session.speaker else None,
        emotion=session.emotion.slug if session.emotion else None,
        quantizers=session.quantizers,
    )


def fault_of(error: ServiceError) -> ProtocolFault:
    """A refusal of the services in the words of the wire: its own code where there is one, else ``bad_message``."""
    try:
        code = ErrorCode(error.code)
    except ValueError:
        code = ErrorCode.BAD_MESSAGE
    return ProtocolFault(code, error.message, error.hint)


async def greet(hello: Hello, person: Person) -> Greeted:
    """Give ``hello`` a slot and a session.

    The slot comes first: a resume token is good for one use, and a full house must not cost the client its session.

    Raises:
        ProtocolFault: refused (mode, voice, token, login).
        InferenceBusy: no slot.
    """
    if hello.mode == "talk":
        raise ProtocolFault(
            ErrorCode.BAD_MESSAGE,
            "mode: talk is not available until a speech-to-speech model is installed",
            "use mode reconstruct",
        )
    link = await open_link(settings.INFERENCE_URLS, mode=hello.mode, quantizers=hello.quantizers)
    try:
        if (link.opened.sample_rate, link.opened.frame_samples) != (SAMPLE_RATE, FRAME_SAMPLES):
            raise RuntimeError(
                f"{link.address} works at {link.opened.sample_rate} Hz, {link.opened.frame_samples} samples"
            )
        opened, person = await database_sync_to_async(_open)(hello, person)
        session = opened.session
        if hello.resume or hello.ticket or session.quantizers != hello.quantizers:
            # A resumed session goes on as it was, whatever this hello would like.
            await link.set(quantizers=session.quantizers, generation=session.generation)
    except ServiceError as error:
        await link.aclose()
        raise fault_of(error) from error
    except BaseException:
        await link.aclose()
        raise
    return Greeted(opened, link, resumed=hello.resume is not None, person=person)


def _open(hello: Hello, person: Person) -> tuple[OpenedSession, Person]:
    """The session, and whom the socket now speaks for: a ticket's owner, who may have no cookie here."""
    if hello.ticket is not None:
        redeemed = ticket_redeem(ticket=hello.ticket)
        owner = Person(
            user=redeemed.session.owner or AnonymousUser(),
            guest_key=redeemed.session.guest_key,
            session_key=redeemed.login or None,
            api_token_id=redeemed.api_token_id,
        )
        return redeemed.opened, owner
    if hello.resume is not None:
        return session_resume(token=hello.resume, user=person.user, guest_key=person.guest_key), person
    opened = session_open(
        user=person.user,
        guest_key=person.guest_key,
        mode=hello.mode,
        turn_taking=hello.turn_taking,
        speaker=hello.speaker,
        emotion=hello.emotion,
        quantizers=hello.quantizers,
        client=hello.client,
    )
    return opened, person
