"""From ``hello`` to a session with a slot: everything that can be refused before audio flows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

from asgiref.typing import WebSocketScope
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User

from apps.voice import opus
from apps.voice.access import guest_key_of, transient_guest_key
from apps.voice.errors import ServiceError
from apps.voice.inference_client import InferenceLink, InferenceRefused, open_link
from apps.voice.models import VoiceSession
from apps.voice.protocol import (
    DIALS,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Codec,
    Configure,
    ErrorCode,
    Hello,
    Limits,
    Mode,
    ProtocolFault,
    SessionConfig,
    Welcome,
)
from apps.voice.recollection import recollect
from apps.voice.selectors import session_mode
from apps.voice.servers import server_urls
from apps.voice.services import Dials, OpenedSession, session_open, session_resume, ticket_redeem
from apps.voice.voices import talk_options

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
    codecs: list[Codec]
    """What either side may send."""

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
            models=self.link.models,
            codecs=self.codecs,
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
    return SessionConfig.model_validate(
        {
            **{name: getattr(session, name) for name in ("mode", "turn_taking", "quantizers", *DIALS)},
            "speaker": session.speaker.slug if session.speaker else None,
            "emotion": session.emotion.slug if session.emotion else None,
            "blend": session.blend.slug if session.blend else None,
        }
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
    mode = await database_sync_to_async(_mode)(hello)
    link = await link_for(mode, hello.quantizers)
    try:
        opened, person = await database_sync_to_async(_open)(hello, person)
        session = opened.session
        await tune(link, session)
    except ServiceError as error:
        await link.aclose()
        raise fault_of(error) from error
    except BaseException:
        await link.aclose()
        raise
    return Greeted(opened, link, resumed=hello.resume is not None, person=person, codecs=_codecs(hello))


async def link_for(mode: Mode, quantizers: int) -> InferenceLink:
    """A slot for a session of that mode. Raises :class:`InferenceBusy`, or `ProtocolFault` when nobody offers it."""
    try:
        link = await open_link(await server_urls(), mode=mode, quantizers=quantizers)
    except InferenceRefused as error:
        hint = "use mode reconstruct" if mode == "talk" else "use mode talk"
        raise ProtocolFault(ErrorCode.BAD_MESSAGE, f"mode: {mode} is not available ({error})", hint) from error
    if (link.opened.sample_rate, link.opened.frame_samples) != (SAMPLE_RATE, FRAME_SAMPLES):
        await link.aclose()
        raise RuntimeError(f"{link.address} works at {link.opened.sample_rate} Hz, {link.opened.frame_samples} samples")
    return link


async def tune(link: InferenceLink, session: VoiceSession) -> None:
    """Everything about the session that its slot has to know: a resumed one goes on as it was."""
    if session.mode != VoiceSession.Mode.TALK:
        await link.set(quantizers=session.quantizers, generation=session.generation)
        return
    talk, past = await database_sync_to_async(lambda: (talk_options(session), recollect(session, link.models)))()
    await link.set(
        generation=session.generation,
        voice=talk.voice,
        turn_taking=talk.turn_taking,
        endpoint_min_ms=talk.endpoint_min_ms,
        endpoint_max_ms=talk.endpoint_max_ms,
    )
    await link.recall(past)


def _codecs(hello: Hello) -> list[Codec]:
    """What both sides speak: PCM16 always, Opus where the client offers it and this server may and can."""
    speaks_opus = "opus" in hello.codecs and settings.VOICE_OPUS and opus.available()
    return ["pcm16", "opus"] if speaks_opus else ["pcm16"]


def _mode(hello: Hello) -> Mode:
    """The mode that a slot is needed for: that of the session which is to go on, if there is one."""
    mode = session_mode(resume=hello.resume, ticket=hello.ticket)
    return hello.mode if mode is None else "talk" if mode == VoiceSession.Mode.TALK else "reconstruct"


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
        **dials_of(hello),
    )
    return opened, person


def dials_of(message: Hello | Configure) -> Dials:
    """The dials that a message sets."""
    given = message.model_dump(include=set(DIALS), exclude_none=True)
    return cast(Dials, given)
