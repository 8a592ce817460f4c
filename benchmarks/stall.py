"""Does another socket's slow database call delay anybody's frames? The live path alone, and beside two that stall."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from benchmarks.live import measure
from benchmarks.ports import free_port
from benchmarks.product import ROOT, Product


@contextlib.contextmanager
def stalled_web(environ: dict[str, str]) -> Iterator[int]:
    """A web process that can stall, in the environment of a product that runs; its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stalled_web", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def holding(ws_url: str, origin: str, ms: int, thread: str) -> None:
    """Hold one database call after another until cancelled."""
    async with connect(ws_url.replace("/ws/voice/", "/ws/stall/"), origin=origin) as socket:  # type: ignore[arg-type]
        while True:
            await socket.send(json.dumps({"ms": ms, "thread": thread}))
            while "done" not in json.loads(await socket.recv()):
                pass


@contextlib.asynccontextmanager
async def stalls(product: Product, ms: int) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(holding(product.ws_url, product.origin, ms, t)) for t in ("shared", "own")]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise RuntimeError(f"a stall ended early: {end!r}")


async def wait_for_port(port: int, deadline_s: float = 60.0) -> None:
    began = time.monotonic()
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() - began > deadline_s:
                raise RuntimeError("the web process that can stall did not start") from None
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return


def environ_of(pid: int) -> dict[str, str]:
    """A child's environment (Linux), or ours where that cannot be read."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return dict(os.environ)
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def measure_stall(product: Product, clients: int, seconds: float, ms: int) -> dict[str, Any]:
    """Percentiles alone and beside the stalls, in turns (two runs each), and by how much p95 rose.

    Of two runs the better counts: what else the machine does can only add.
    """
    with stalled_web(environ_of(product.pids["web"])) as port:
        own = replace(product, ws_url=f"ws://127.0.0.1:{port}/ws/voice/", origin=f"http://127.0.0.1:{port}")

        async def run() -> dict[str, Any]:
            await wait_for_port(port)
            await measure(own, clients, 3.0)  # warm
            alone, stalled = [], []
            for _ in range(2):
                alone.append(await measure(own, clients, seconds))
                async with stalls(own, ms):
                    stalled.append(await measure(own, clients, seconds))
            best = [min(r["round_trip_ms"]["p95"] for r in runs) for runs in (alone, stalled)]
            return {"stall_ms": ms, "alone": alone, "stalled": stalled, "p95_more_ms": round(best[1] - best[0], 1)}

        return asyncio.run(run())
