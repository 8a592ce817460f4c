"""A web process of its own beside the stack: on the stack's database, with another environment or another program."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ports import free_port
from ml.serve import wire
from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_until_async

OPENED = wire.Opened(0, 8, 16_000, 80, 320, 0.0, {"codec": {"preset": "hifi", "sha256": "0" * 64}})


@dataclass(frozen=True)
class SideWeb:
    port: int
    pid: int

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/voice/"


def _spawn(program: str, port: int, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as sink:
        command = [sys.executable, "-m", program, "--port", str(port)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=sink)


@contextlib.asynccontextmanager
async def side_web(
    stack: Stack, folder: Path, *, program: str = "voiceplatform.web", **environment: str
) -> AsyncIterator[SideWeb]:
    """Run ``python -m program`` until the block ends; by default it uses the stack's inference server."""
    port = free_port()
    log = folder / "side-web.log"
    everything = {**stack.environment, "INFERENCE_URLS": stack.inference_url, **environment}
    process = _spawn(program, port, everything, log)
    try:

        async def up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{program} ended with {process.returncode}\n{log.read_text()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await wait_until_async(up, 60, f"{program} to listen")
        yield SideWeb(port, process.pid)
    finally:
        process.kill()  # its sockets' fate is no part of these tests
        await asyncio.to_thread(process.wait)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    codes = np.zeros((8, 4), np.uint16)
    with contextlib.suppress(ConnectionError, wire.WireError):
        while (message := await wire.read_message(reader, wire.decode_client)) is not None:
            match message:
                case wire.Open():
                    await wire.write_message(writer, OPENED)
                case wire.AudioUp():
                    head = (message.seq, message.timestamp_ms, message.generation)
                    await wire.write_message(writer, wire.AudioDown(*head, 1, 2, 3, codes, message.pcm))
                case wire.Ping():
                    await wire.write_message(writer, wire.Pong(message.id))
                case wire.StatsRequest():
                    await wire.write_message(writer, wire.Stats(0, 8, 8, 0, 0, 0.0, 0.0, 0, 1.0))
                case wire.Close():
                    break
    writer.close()


@contextlib.asynccontextmanager
async def instant_inference(folder: Path) -> AsyncIterator[str]:
    """The URL of an inference server without a model: frames come straight back, faster than any codec could."""
    path = folder / "instant.sock"
    listener = await asyncio.start_unix_server(_answer, path)
    try:
        yield f"unix://{path}"
    finally:
        listener.close()
