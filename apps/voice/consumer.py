"""The transport of native protocol v1: a plain ASGI application, one instance per socket.

Not a subclass of Channels' ``AsyncConsumer``: its ``dispatch`` sends every message through the process-wide sync
thread, where one slow database call of any other socket delays all frames (measured: p95 181 ms instead of 1.5 ms).
Here each socket has a database thread of its own, and no frame touches it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from apps.voice.greeting import person_of
from apps.voice.live_session import LiveSession
from apps.voice.protocol import ServerEvent
from apps.voice.serving import Receive, Send, serve


class SocketPeer:
    """The sending half of a socket; silent once it is closed, from whichever side."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.open = True

    async def tell(self, message: ServerEvent) -> None:
        if self.open:
            await self._send({"type": "websocket.send", "text": message.wire()})

    async def send_audio(self, frame: bytes) -> None:
        if self.open:
            await self._send({"type": "websocket.send", "bytes": frame})

    async def close(self, code: int) -> None:
        if self.open:
            self.open = False
            await self._send({"type": "websocket.close", "code": code})


class VoiceConsumer:
    """``/ws/voice/``. Origin and login are the middleware's (``voiceplatform.asgi``)."""

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        """The ASGI application."""
        return cls()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        async with ThreadSensitiveContext():
            await send({"type": "websocket.accept"})
            await self._serve(scope, receive, send)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        peer = SocketPeer(send)
        session = LiveSession(peer, await person_of(scope))
        await serve(session, _hear(receive, peer, session))


async def _hear(receive: Receive, peer: SocketPeer, session: LiveSession) -> None:
    """Hand in what arrives until the socket closes. Nothing here waits for anything but the socket."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            peer.open = False
            session.gone()
            return
        if (data := message.get("bytes")) is not None:
            session.receive_bytes(data)
        elif (text := message.get("text")) is not None:
            session.receive_text(text)
