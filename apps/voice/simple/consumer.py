"""``/ws``: a plain ASGI application, one :class:`LiveSession` per socket, as the native one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from apps.voice.greeting import person_of
from apps.voice.live_session import LiveSession
from apps.voice.protocol import MAX_OFFENCES, ErrorCode, ProtocolFault
from apps.voice.simple.adapter import SimpleSide
from apps.voice.simple.messages import parse

CLOSE_WAIT_S = 5.0
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


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
            ears = asyncio.create_task(_hear(receive, side, session))
            pumps = [asyncio.create_task(side.feed()), asyncio.create_task(side.report())]
            try:
                await session.run()
                await asyncio.wait({ears}, timeout=CLOSE_WAIT_S)
            finally:
                for task in (ears, *pumps):
                    task.cancel()


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
