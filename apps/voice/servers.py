"""Which inference servers there are, the one with most room first.

With Redis, servers announce themselves there under a key that lives some seconds (:mod:`ml.serve.registry`); without,
or when none has, the list of the settings holds. What is read is kept for a second: a burst of sessions asks once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.cache import cache
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ml.serve.wire import WireError, parse_address, probe

logger = logging.getLogger(__name__)

KEY_PREFIX = "voice:inference:"
FRESH_S = 1.0
_TALK_KEY = "voice.talk_offered"
_TALK_KEPT_S = 3
ASK_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Server:
    """One inference server, as it said last. ``talk``: it serves conversations."""

    url: str
    free: int
    capacity: int
    talk: bool


_known: tuple[float, list[Server]] = (-1e9, [])


async def server_urls() -> list[str]:
    """Addresses to try, least loaded first; equally loaded ones in random order, so that load spreads."""
    servers = await known_servers()
    if not servers:
        urls = list(settings.INFERENCE_URLS)
        random.shuffle(urls)
        return urls
    random.shuffle(servers)
    return [server.url for server in sorted(servers, key=lambda s: -s.free / max(1, s.capacity))]


def server_urls_now() -> list[str]:
    """`server_urls` for pages and figures, in an order that stays."""
    return sorted(async_to_sync(server_urls)())


async def known_servers() -> list[Server]:
    """What the registry holds; empty without Redis, or when nobody announces itself."""
    global _known
    if not settings.REDIS_URL:
        return []
    at, servers = _known
    if time.monotonic() - at < FRESH_S:
        return list(servers)
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            servers = await _read()
    except (RedisError, OSError, TimeoutError) as error:
        logger.warning("the registry of inference servers does not answer: %r", error)
        servers = []
    _known = (time.monotonic(), servers)
    return list(servers)


async def _read() -> list[Server]:
    client: Any = Redis.from_url(str(settings.REDIS_URL))
    try:
        keys = [key async for key in client.scan_iter(match=KEY_PREFIX + "*", count=100)]
        values = await client.mget(keys) if keys else []
    finally:
        await client.aclose()
    found = []
    for value in values:
        try:
            row = json.loads(value)
            if not row.get("draining"):
                url, free, capacity = str(row["url"]), int(row["free"]), int(row["capacity"])
                found.append(Server(url, free, capacity, bool(row["talk"])))
        except (TypeError, ValueError, KeyError):
            continue  # gone between the two commands, or not ours
    return found


async def talk_offered() -> bool:
    """Whether some inference server serves conversations."""
    servers = await known_servers()
    if servers:
        return any(server.talk for server in servers)
    answers = await asyncio.gather(*(_serves_talk(url) for url in settings.INFERENCE_URLS))
    return any(answers)


def talk_offered_now() -> bool:
    """`talk_offered` for pages: what was true a few seconds ago is good enough."""
    offered = cache.get(_TALK_KEY)
    if offered is None:
        offered = async_to_sync(talk_offered)()
        cache.set(_TALK_KEY, offered, _TALK_KEPT_S)
    return bool(offered)


async def _serves_talk(url: str) -> bool:
    try:
        return "talk" in (await probe(parse_address(url), ASK_TIMEOUT_S)).models
    except (OSError, WireError):
        return False
