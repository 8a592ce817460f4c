"""``/ws``: a plain ASGI application, one :class:`LiveSession` per socket, as the native one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from apps.voice.greeting import person_of
from apps.voice.live_session import LiveSession
from apps.voice.protocol import MAX_OFFENCES, ErrorCode, ProtocolFault
from apps.voice.serving import Receive, Send, serve
from apps.voice.simple.adapter import SimpleSide
from apps.voice.simple.messages import parse


class SimpleConsumer:
    """Origin and login are the middleware's (``voiceplatform.asgi``)."""

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        """The ASGI application."""
        return cls()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        async with ThreadSensitiveContext():
            await send({"type": "websocket.accept"})
            side = SimpleSide(send)
            session = LiveSession(side, await person_of(scope))
            side.begin(session)
            await serve(session, _hear(receive, side, session), side.feed(), side.report())


async def _hear(receive: Receive, side: SimpleSide, session: LiveSession) -> None:
    offences = 0
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            side.open = False
            session.gone()
            return
        try:
            if (text := message.get("text")) is None:
                raise ProtocolFault(
                    ErrorCode.BAD_MESSAGE, "a binary frame", "send JSON; binary is the native protocol's"
                )
            side.hear(parse(text))
        except ProtocolFault as fault:
            offences += 1
            await side.refuse(fault, fatal=offences >= MAX_OFFENCES)
            if offences >= MAX_OFFENCES:
                await side.close(fault.code.close_code)
                session.gone()
                return
