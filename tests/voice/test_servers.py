"""Which inference server is tried first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from apps.voice import servers
from tests.support.servers import Redis as RedisServer


def row(url: str, free: int, **more: Any) -> str:
    return json.dumps({"url": url, "free": free, "capacity": 8, "talk": False} | more)


async def test_the_list_of_the_settings_holds_without_a_registry(settings: Any) -> None:
    settings.REDIS_URL = None
    settings.INFERENCE_URLS = ["tcp://a:1", "tcp://b:1"]
    assert set(await servers.server_urls()) == {"tcp://a:1", "tcp://b:1"}


async def test_the_least_loaded_server_is_first_and_one_that_drains_is_left_out(
    settings: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = redis_server.url
    settings.INFERENCE_URLS = ["tcp://fallback:1"]
    monkeypatch.setattr(servers, "_known", (-1e9, []))
    client = Redis.from_url(redis_server.url)
    keys = [servers.KEY_PREFIX + name for name in ("one", "two", "three", "broken")]
    await client.mset(
        {
            keys[0]: row("tcp://one:1", 2),
            keys[1]: row("tcp://two:1", 7, talk=True),
            keys[2]: row("tcp://three:1", 8, draining=True),
            keys[3]: "{",
        }
    )
    assert await servers.server_urls() == ["tcp://two:1", "tcp://one:1"]
    assert await servers.talk_offered()
    await client.delete(*keys)
    await client.aclose()
    assert await servers.server_urls() == ["tcp://two:1", "tcp://one:1"]  # asked a moment ago
    monkeypatch.setattr(servers, "_known", (-1e9, []))
    assert await servers.server_urls() == ["tcp://fallback:1"]
