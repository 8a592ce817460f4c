"""The live path over WebSockets: clients that speak in real time, and when what they said came back.

A frame's round trip is from the moment its 20 ms were handed to the socket to the arrival of the downstream audio
that covers the end of these 20 ms of media time; it includes the codec's own delay and the server's pacing.
"""

import asyncio
import json
import struct
import time
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


async def talk(product: Product, seconds: float, seed: int) -> tuple[list[float], int]:
    """One client: round trips in ms of the frames after the settling time, and the number that never came back."""
    async with connect(product.ws_url, origin=product.origin, max_queue=None, compression=None) as socket:  # type: ignore[arg-type]
        hello = {"type": "hello", "protocol": 1, "mode": "reconstruct", "codecs": ["pcm16"], "client": "bench"}
        await socket.send(json.dumps(hello))
        welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise RuntimeError(f"no session: {welcome}")
        frames = speech_like(seconds, seed)
        sent_at = [0.0] * len(frames)
        back_at = [0.0] * len(frames)
        hearing = asyncio.create_task(_hear(socket, welcome["generation"], back_at))
        start = time.monotonic()
        for number, pcm in enumerate(frames):
            await asyncio.sleep(start + number * FRAME_MS / 1000 - time.monotonic())
            sent_at[number] = time.monotonic()
            await socket.send(HEADER.pack(1, number, number * FRAME_MS, welcome["generation"]) + pcm)
        await asyncio.wait({hearing}, timeout=2.0)
        hearing.cancel()
        await socket.send(json.dumps({"type": "end"}))
        settled = range(int(SETTLE_S * 1000 / FRAME_MS), len(frames) - 10)
        trips = [1000 * (back_at[i] - sent_at[i]) for i in settled if back_at[i]]
        return trips, sum(1 for i in settled if not back_at[i])


async def _hear(socket: ClientConnection, generation: int, back_at: list[float]) -> None:
    """Note when each 20 ms of media time has come back, and report it as played every 250 ms."""
    reported = 0.0
    heard_ms = 0.0
    while not back_at[-1]:
        message = await socket.recv()
        if isinstance(message, str):
            continue
        now = time.monotonic()
        _, _, at_ms, _ = HEADER.unpack_from(message)
        end_ms = at_ms + (len(message) - HEADER.size) / 32
        first, last = int(heard_ms // FRAME_MS), min(int(end_ms // FRAME_MS), len(back_at))
        for number in range(first, last):
            back_at[number] = back_at[number] or now
        heard_ms = max(heard_ms, end_ms)
        if now - reported > 0.25:
            reported = now
            played = {"type": "played", "generation": generation, "played_ms": int(heard_ms)}
            await socket.send(json.dumps({**played, "buffered_ms": 0, "underruns": 0}))


async def measure(product: Product, clients: int, seconds: float) -> dict[str, Any]:
    """``clients`` at once for ``seconds``: percentiles over all their frames."""
    results = await asyncio.gather(*(talk(product, seconds, seed) for seed in range(clients)))
    trips = np.concatenate([np.asarray(trips) for trips, _ in results])
    return {
        "clients": clients,
        "frames": int(trips.size),
        "missing": sum(missing for _, missing in results),
        "round_trip_ms": {
            name: round(float(np.percentile(trips, q)), 1) if trips.size else None
            for name, q in (("p50", 50), ("p95", 95), ("p99", 99))
        },
    }
