"""What every socket of a live session does, whatever it speaks: one session, its ears, its pumps, an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from apps.voice import metrics
from apps.voice.live_session import LiveSession

CLOSE_WAIT_S = 5.0
"""After our close: how long the peer may take to answer it before the application leaves."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Work = Coroutine[Any, Any, None]


async def serve(session: LiveSession, hear: Work, *pumps: Work) -> None:
    """Run ``session`` to its end. ``hear`` hands in what arrives until the socket closes; ``pumps`` run meanwhile."""
    ears = asyncio.create_task(hear)
    others = [asyncio.create_task(pump) for pump in pumps]
    metrics.count("sockets")
    try:
        await session.run()
        await asyncio.wait({ears}, timeout=CLOSE_WAIT_S)
    finally:
        metrics.count("sockets", -1)
        for task in (ears, *others):
            task.cancel()
