"""The registry and the metrics of a running server."""

import asyncio
import json

from redis.asyncio import Redis

from ml.serve.metrics import AnswerTimes, Histogram, serve_metrics
from ml.serve.registry import KEY_PREFIX, TTL_S, Announcer
from tests.support.servers import Redis as RedisServer


async def test_a_server_is_announced_with_a_short_life_and_taken_away(redis_server: RedisServer) -> None:
    announcer = Announcer(redis_server.url, "tcp://10.0.0.1:7000", lambda: {"free": 3, "capacity": 8, "talk": True})
    announcer.start()
    client = Redis.from_url(redis_server.url)
    key = KEY_PREFIX + "tcp://10.0.0.1:7000"
    for _ in range(1000):
        if (value := await client.get(key)) is not None:
            break
        await asyncio.sleep(0.01)
    assert value is not None
    assert json.loads(value) == {"url": "tcp://10.0.0.1:7000", "free": 3, "capacity": 8, "talk": True}
    assert 0 < await client.ttl(key) <= TTL_S
    await announcer.stop()
    assert await client.get(key) is None
    await client.aclose()


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((10.0, 20.0))
    for value in (5, 10, 11, 99):
        histogram.observe(value)
    assert histogram.lines("x", 'a="b"') == [
        'x_bucket{a="b",le="10"} 2',
        'x_bucket{a="b",le="20"} 3',
        'x_bucket{a="b",le="+Inf"} 4',
        'x_sum{a="b"} 125',
        'x_count{a="b"} 4',
    ]


async def test_metrics_are_given_over_http() -> None:
    times = AnswerTimes()
    times.observe({"endpoint_ms": 300.0, "speculated": 1.0})
    server = await serve_metrics("127.0.0.1", 0, lambda: "\n".join(times.lines()) + "\n")
    port = server.sockets[0].getsockname()[1]

    async def get(path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    body = await get("/metrics")
    assert body.startswith(b"HTTP/1.1 200")
    assert b'voice_answer_stage_ms_bucket{stage="endpoint",le="300"} 1' in body
    assert b"speculated" not in body
    assert (await get("/")).startswith(b"HTTP/1.1 404")
    server.close()
    await server.wait_closed()
