"""Clients that take and do not read: cheap for the web process, and gone within five seconds.

The patience itself (4.5 s) is measured under a virtual clock in ``tests/voice/test_credit.py``; the deadlines here
only have room for a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from apps.voice.models import VoiceSession
from tests.support.side_web import SideWeb, instant_inference, side_web
from tests.support.stack import Stack
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.integration

COST_BYTES = 2_000_000
DEADLINE_S = 10.0


def resident(pid: int) -> int:
    """Bytes of memory that are the process's own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = dict(line.split(":", 1) for line in lines)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))


@pytest.fixture
async def web(stack: Stack, tmp_path: Path) -> AsyncIterator[SideWeb]:
    """A web process whose inference server is faster than any codec: what it costs is its own."""
    async with instant_inference(tmp_path) as url, side_web(stack, tmp_path, INFERENCE_URLS=url) as running:
        yield running


def socket_to(port: int) -> Any:
    """One that reads at most one message ahead: whoever does not ask for more pushes back on TCP."""
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # or the kernel would swallow megabytes
    tcp.connect(("127.0.0.1", port))
    options: dict[str, Any] = {"origin": f"http://127.0.0.1:{port}", "compression": None, "max_queue": 1, "sock": tcp}
    return connect(f"ws://127.0.0.1:{port}/ws/voice/", **options)


async def welcomed(ws: ClientConnection) -> dict[str, Any]:
    await ws.send(json.dumps({"type": "hello", "protocol": 1, "mode": "reconstruct"}))
    welcome: dict[str, Any] = json.loads(await ws.recv())
    assert welcome["type"] == "welcome"
    return welcome


def frame(number: int, generation: int) -> bytes:
    return struct.pack("<BIII", 1, number, number * 20, generation) + bytes(640)


async def read_to_the_end(ws: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                await ws.recv()
    return ws.close_code


async def says_nothing(stack: Stack, port: int) -> int | None:
    """Speaks in real time, reads nothing and reports nothing, until its session is over."""
    async with socket_to(port) as ws:
        welcome = await welcomed(ws)

        async def speak() -> None:
            loop = asyncio.get_running_loop()
            start = loop.time()
            for number in range(100_000):
                await ws.send(frame(number, welcome["generation"]))
                if (ahead := start + number * 0.02 - loop.time()) > 0:
                    await asyncio.sleep(ahead)

        def over() -> bool:
            return VoiceSession.objects.filter(pk=welcome["session"], status="suspended").exists()

        speaking = asyncio.create_task(speak())
        try:
            await wait_until_async(lambda: stack.aquery(over), DEADLINE_S, "the client to be closed", 0.1)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        return await read_to_the_end(ws)


async def lies(port: int) -> int | None:
    """Reads nothing and claims to have played everything; floods until the server takes no more from it."""
    async with socket_to(port) as ws:
        generation = (await welcomed(ws))["generation"]
        report = {"type": "played", "generation": generation, "buffered_ms": 0, "underruns": 0}

        async def flood() -> None:
            for number in range(10_000_000):
                await ws.send(frame(number, generation))
                if number % 10 == 0:
                    await ws.send(json.dumps({**report, "played_ms": number * 20}))
                    # About fifteen times real time, within the limit of messages a second.
                    await asyncio.sleep(0.025)

        flooding = asyncio.create_task(flood())
        try:
            # Until the connection is cut: what the kernel holds between us has to fill first.
            await asyncio.wait({flooding}, timeout=45)
            assert flooding.done()
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        return await read_to_the_end(ws)


async def cost(pid: int, crowd: list[asyncio.Task[int | None]]) -> float:
    """By how much the process grew at its worst while the crowd was at it, per client."""
    before = peak = resident(pid)
    while not all(task.done() for task in crowd):
        await asyncio.wait(crowd, timeout=0.25)
        peak = max(peak, resident(pid))
    return (peak - before) / len(crowd)


async def test_clients_that_say_nothing(stack: Stack) -> None:
    await says_nothing(stack, stack.port)  # whatever the first of its kind costs for good
    crowd = [asyncio.create_task(says_nothing(stack, stack.port)) for _ in range(5)]
    assert await cost(stack.pid("web"), crowd) < COST_BYTES
    assert [task.result() for task in crowd] == [4008] * 5


async def test_clients_that_claim_to_have_played_what_they_never_read(web: SideWeb) -> None:
    await asyncio.create_task(lies(web.port))
    crowd = [asyncio.create_task(lies(web.port)) for _ in range(3)]
    assert await cost(web.pid, crowd) < COST_BYTES
    # Whoever takes nothing does not get the close frame either.
    assert {task.result() for task in crowd} <= {4008, 1006}
