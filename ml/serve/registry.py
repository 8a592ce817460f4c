"""Tells Redis that this server is here: one key that lives some seconds, renewed while the server lives.

The web side (``apps/voice/servers.py``) reads these keys and asks the server with most room first. A server that dies
without a word is gone from there within `TTL_S`; one that drains takes its key away itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEY_PREFIX = "voice:inference:"
EVERY_S = 2.0
TTL_S = 6


class Announcer:
    """Keeps one server's key up to date; ``describe`` gives what stands in it beside the address."""

    def __init__(self, redis_url: str, address: str, describe: Callable[[], dict[str, Any]]) -> None:
        self._url = redis_url
        self._address = address
        self._describe = describe
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Announce from now on; a Redis that is away is tried again, and never a reason to stop serving."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take the key away."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        client: Any = Redis.from_url(self._url)
        warned = False
        try:
            while True:
                try:
                    value = json.dumps({"url": self._address, **self._describe()})
                    async with asyncio.timeout(EVERY_S):
                        await client.set(KEY_PREFIX + self._address, value, ex=TTL_S)
                    warned = False
                except (RedisError, OSError, TimeoutError) as error:
                    if not warned:
                        log.warning("the registry does not answer: %r", error)
                    warned = True
                await asyncio.sleep(EVERY_S)
        finally:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.delete(KEY_PREFIX + self._address)
            await client.aclose()
