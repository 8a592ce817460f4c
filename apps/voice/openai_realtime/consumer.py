"""``/v1/realtime``: a plain ASGI application, one :class:`LiveSession` per socket, as for the other protocols.

No cookie and no ``Origin`` matters here: only a key opens it, which a page of another site has to have been given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from asgiref.sync import ThreadSensitiveContext
from channels.db import database_sync_to_async
from channels.security.websocket import WebsocketDenier
from django.conf import settings

from apps.speakers.selectors import DEFAULT_SPEAKER, emotions_published, speaker_default, speakers_published
from apps.voice.access import transient_guest_key
from apps.voice.captions import caption_of
from apps.voice.greeting import Person
from apps.voice.live_session import LiveSession
from apps.voice.mailbox import RateLimit
from apps.voice.openai_realtime.adapter import RealtimeSide
from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.keys import SUBPROTOCOL, Caller, caller_of, key_of
from apps.voice.openai_realtime.session import Offer, SessionConfig, SessionPatch
from apps.voice.serving import Receive, Send, serve

CAPTION_S = 3.0
EVENTS_PER_S, EVENTS_AT_ONCE = 500, 5_000
POLICY_VIOLATION = 4014
"""1008 on the wire."""


class RealtimeConsumer:
    """The ASGI application."""

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        """The application."""
        return cls()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        async with ThreadSensitiveContext():
            caller, offer = await database_sync_to_async(_admit)(key_of(scope))
            if caller is None:
                await WebsocketDenier()(scope, receive, send)
                return
            if (await receive())["type"] != "websocket.connect":
                return
            offered = SUBPROTOCOL in scope.get("subprotocols", [])
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
            await _serve(scope, receive, send, caller, offer)


async def _serve(scope: dict[str, Any], receive: Receive, send: Send, caller: Caller, offer: Offer) -> None:
    config = SessionConfig(offer, _model(scope), transcripts=settings.VOICE_REALTIME_TRANSCRIPTS)
    side = RealtimeSide(send, config, caption=_caption if config.transcripts else None)
    person = Person(caller.user, transient_guest_key(), session_key=None, api_token_id=caller.api_token_id)
    session = LiveSession(side, person)
    side.begin(session, f"openai realtime: {_agent(scope)}", SessionPatch.model_validate(caller.session))
    await serve(session, _hear(receive, side, session), side.speak(), side.feed(), side.watch())


async def _hear(receive: Receive, side: RealtimeSide, session: LiveSession) -> None:
    rate = RateLimit(per_s=EVENTS_PER_S, burst=EVENTS_AT_ONCE)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            side.hung_up()
            session.gone()
            return
        await side.ready.wait()
        if not rate.take():
            side.refuse(RealtimeError(f"more than {EVENTS_PER_S} events a second", code="rate_limit_exceeded"))
            await side.close(POLICY_VIOLATION)
            session.gone()
        elif (text := message.get("text")) is not None:
            side.hear(text)
        else:
            side.refuse(RealtimeError("a binary frame: send one JSON event per text frame", code="invalid_event"))


def _admit(key: str) -> tuple[Caller | None, Offer]:
    caller = caller_of(key)
    if caller is None:
        return None, Offer((), ())
    return caller, offer()


def offer() -> Offer:
    """The voices and emotions that may be chosen now. Reads the database."""
    slugs = list(speakers_published().values_list("slug", flat=True))
    default = speaker_default()
    first = [default.slug] if default is not None else []
    voices = (*first, *(slug for slug in slugs if slug not in first))
    return Offer(voices or (DEFAULT_SPEAKER,), tuple(emotions_published().values_list("slug", flat=True)))


async def _caption(pcm: bytes) -> str:
    try:
        async with asyncio.timeout(CAPTION_S):
            found = await caption_of(pcm)
    except TimeoutError:
        return ""
    return found.text if found is not None else ""


def _model(scope: dict[str, Any]) -> str:
    """The name that the client knows us by; any will do, there is one model."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return (query.get("model") or ["telugu-voice"])[0][:100]


def _agent(scope: dict[str, Any]) -> str:
    agents = [value for name, value in scope.get("headers", []) if name == b"user-agent"]
    return str(agents[0].decode("latin-1"))[:150] if agents else "unknown"
