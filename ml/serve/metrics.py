"""``/metrics`` of the inference server in Prometheus' text format, and the small HTTP server that gives it."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Callable, Mapping

LATENCY_BUCKETS_MS = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 300.0, 500.0, 800.0, 1200.0)
_READ_S = 5.0


class Histogram:
    """Counts of values by upper bound, as Prometheus wants them."""

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BUCKETS_MS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """One value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str = "") -> list[str]:
        """Bucket, sum and count lines; ``labels`` like ``stage="endpoint"``."""
        comma = "," if labels else ""
        total, lines = 0, []
        for bound, count in zip([*map("{:g}".format, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels}{comma}le="{bound}"}} {total}')
        braces = f"{{{labels}}}" if labels else ""
        return [*lines, f"{name}_sum{braces} {self._sum:g}", f"{name}_count{braces} {total}"]


class AnswerTimes:
    """How long the stages of answers took, by the latency told with ``answer started``."""

    def __init__(self) -> None:
        self._stages: dict[str, Histogram] = {}

    def observe(self, latency: Mapping[str, float]) -> None:
        """One answer."""
        for name, value in latency.items():
            if name.endswith("_ms"):
                self._stages.setdefault(name.removesuffix("_ms"), Histogram()).observe(value)

    def lines(self) -> list[str]:
        """All stages under one name."""
        name = "voice_answer_stage_ms"
        lines = [f"# HELP {name} Stages of answers, milliseconds.", f"# TYPE {name} histogram"]
        for stage, histogram in sorted(self._stages.items()):
            lines += histogram.lines(name, f'stage="{stage}"')
        return lines


def gauge(name: str, help_text: str, value: float, kind: str = "gauge") -> list[str]:
    """One plain figure."""
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", f"{name} {value:g}"]


async def serve_metrics(host: str, port: int, render: Callable[[], str]) -> asyncio.Server:
    """Answer ``GET /metrics`` on ``host``:``port``. Raises OSError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
            found = head.startswith(b"GET /metrics ")
            body = (render() if found else "see /metrics\n").encode()
            status = "200 OK" if found else "404 Not Found"
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, host, port)
