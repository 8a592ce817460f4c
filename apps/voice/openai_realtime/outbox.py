"""What leaves for the client: events in order, and the close."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.server_events import ServerEventType, new_id

CLOSES = {1000: 1000, 4008: 1008, 4011: 1011, 4012: 1012, 4013: 1013, 4014: 1008, 4401: 1008}
"""Close codes in the protocol's terms: its clients reconnect after 1011 to 1013, and not after 1008."""


class Outbox:
    """Emitting never waits; :meth:`pump` sends. Who does not read is not read from (:mod:`voiceplatform.backpressure`),
    so that what waits stays bounded by what the client has said and the credit of its answer."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self.open = True

    def emit(self, kind: ServerEventType, /, **fields: Any) -> None:
        """Say an event."""
        self._waiting.put_nowait(json.dumps({"event_id": new_id("event"), "type": kind, **fields}, allow_nan=False))

    def refuse(self, error: RealtimeError, event_id: str | None = None) -> None:
        """Say what was wrong, with ``event_id`` of the client's event."""
        told = {
            "type": error.kind,
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "event_id": error.event_id or event_id,
        }
        self.emit("error", error=told)

    async def pump(self) -> None:
        """Send what waits, in order."""
        while True:
            text = await self._waiting.get()
            if self.open:
                await self._send({"type": "websocket.send", "text": text})
            self._waiting.task_done()

    async def close(self, code: int) -> None:
        """Close with the native ``code`` in the protocol's terms, once everything said so far has left."""
        await self._waiting.join()
        if self.open:
            self.open = False
            await self._send({"type": "websocket.close", "code": CLOSES.get(code, 1011)})
