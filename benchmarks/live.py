"""The live path over WebSockets: clients that speak in real time, and when what they said came back.

A frame's round trip is from the moment its 20 ms were handed to the socket to the arrival of the downstream audio
that covers the end of these 20 ms of media time; it includes the codec's own delay and the server's pacing.
"""

import asyncio
import itertools
import json
import struct
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.product import Product

HEADER = struct.Struct("<BIII")
FRAME_MS = 20
FRAME_SAMPLES = 320
SETTLE_S = 1.0


def speech_like(seconds: float, seed: int) -> list[bytes]:
    """Noise with the slow level changes of speech, as 20 ms PCM16LE frames."""
    random = np.random.default_rng(seed)
    count = int(seconds * 16000) // FRAME_SAMPLES * FRAME_SAMPLES
    level = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * np.arange(count) / 16000 + seed)
    pcm = (random.standard_normal(count) * level * 2500).astype("<i2")
    return [pcm[i : i + FRAME_SAMPLES].tobytes() for i in range(0, count, FRAME_SAMPLES)]


@dataclass
class Talk:
    """What one client measured after the settling time; all in ms."""

    trips: list[float]
    missing: int
    jitter: list[float]
    """By how much the time between two arrivals differed from 20 ms."""
    server: list[float]
    """The server's own medians, one a second."""
    late: int


async def talk(product: Product, seconds: float, seed: int) -> Talk:
    """One client that speaks in real time."""
    async with connect(product.ws_url, origin=product.origin, max_queue=None, compression=None) as socket:  # type: ignore[arg-type]
        hello = {"type": "hello", "protocol": 1, "mode": "reconstruct", "codecs": ["pcm16"], "client": "bench"}
        await socket.send(json.dumps(hello))
        welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise RuntimeError(f"no session: {welcome}")
        frames = speech_like(seconds, seed)
        sent_at = [0.0] * len(frames)
        back_at = [0.0] * len(frames)
        stats: list[dict[str, Any]] = []
        hearing = asyncio.create_task(_hear(socket, welcome["generation"], back_at, stats))
        start = time.monotonic()
        for number, pcm in enumerate(frames):
            await asyncio.sleep(max(0.0, start + number * FRAME_MS / 1000 - time.monotonic()))
            sent_at[number] = time.monotonic()
            await socket.send(HEADER.pack(1, number, number * FRAME_MS, welcome["generation"]) + pcm)
        await asyncio.wait({hearing}, timeout=2.0)
        if hearing.done():
            hearing.result()
        hearing.cancel()
        await socket.send(json.dumps({"type": "end"}))
        settled = range(int(SETTLE_S * 1000 / FRAME_MS), len(frames) - 10)
        trips = [1000 * (back_at[i] - sent_at[i]) for i in settled if back_at[i]]
        back = [back_at[i] for i in settled if back_at[i]]
        return Talk(
            trips=trips,
            missing=sum(1 for i in settled if not back_at[i]),
            jitter=[abs(1000 * (b - a) - FRAME_MS) for a, b in itertools.pairwise(back)],
            server=[figures["server_ms"] for figures in stats[1:]],
            late=stats[-1]["late"] if stats else 0,
        )


async def _hear(socket: ClientConnection, generation: int, back_at: list[float], stats: list[dict[str, Any]]) -> None:
    """Note when each 20 ms of media time has come back."""
    heard_ms = 0.0

    async def report() -> None:
        # By the clock, as the protocol says: after a burst has filled the window nothing arrives until this is said.
        while True:
            await asyncio.sleep(0.25)
            played = {"type": "played", "generation": generation, "played_ms": int(heard_ms)}
            await socket.send(json.dumps({**played, "buffered_ms": 0, "underruns": 0}))

    reporting = asyncio.create_task(report())
    try:
        while not back_at[-1]:
            message = await socket.recv()
            if isinstance(message, str):
                event = json.loads(message)
                if event["type"] == "stats":
                    stats.append(event)
                continue
            now = time.monotonic()
            _, _, at_ms, _ = HEADER.unpack_from(message)
            end_ms = at_ms + (len(message) - HEADER.size) / 32
            first, last = int(heard_ms // FRAME_MS), min(int(end_ms // FRAME_MS), len(back_at))
            for number in range(first, last):
                back_at[number] = back_at[number] or now
            heard_ms = max(heard_ms, end_ms)
    finally:
        reporting.cancel()


async def measure(product: Product, clients: int, seconds: float) -> dict[str, Any]:
    """``clients`` at once for ``seconds``: percentiles over all their frames."""
    talks = await asyncio.gather(*(talk(product, seconds, seed) for seed in range(clients)))
    return {
        "clients": clients,
        "frames": sum(len(one.trips) for one in talks),
        "missing": sum(one.missing for one in talks),
        "late": sum(one.late for one in talks),
        "round_trip_ms": percentiles([ms for one in talks for ms in one.trips]),
        "jitter_ms": percentiles([ms for one in talks for ms in one.jitter]),
        "server_ms": percentiles([ms for one in talks for ms in one.server]),
    }


def percentiles(values: list[float]) -> dict[str, float | None]:
    """p50, p95 and p99, to a tenth of a millisecond."""
    wanted = (("p50", 50), ("p95", 95), ("p99", 99))
    return {name: round(float(np.percentile(values, q)), 1) if values else None for name, q in wanted}
