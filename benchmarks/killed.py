"""What dies and what goes on: an inference server killed in mid-answer, clients that vanish while the model is busy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Origin

from benchmarks.conversation import FRAME, FRAME_S, HEADER, Talker, question
from benchmarks.live import percentiles
from benchmarks.product import Product
from ml.serve.wire import parse_address, probe

BACK_S = 90.0
"""For so long a session may be without a server before it counts as lost."""


async def measure_kills(product: Product, sessions: int, times: int) -> dict[str, Any]:
    """Kill the inference server `times` times while somebody hears an answer, and see what every session has then."""
    talkers = [Talker(product, number) for number in range(sessions)]
    running = [asyncio.create_task(talker.run(3_600.0)) for talker in talkers]
    back: list[float] = []
    lost = 0
    try:
        for number in range(times):
            await _until(lambda: any(talker.hears for talker in talkers), running)
            answered = [talker.result.answered for talker in talkers]
            os.kill(_inference_pid(product), signal.SIGKILL)
            killed = time.monotonic()
            try:
                async with asyncio.timeout(BACK_S):
                    await _until(
                        lambda before=answered: all(
                            talker.result.answered > count for talker, count in zip(talkers, before, strict=True)
                        ),
                        running,
                    )
                back.append(1000 * (time.monotonic() - killed))
            except TimeoutError:
                lost += 1
            held = [_kept(product, talker) for talker in talkers]
            print(f"kill {number + 1}: answered again after {back[-1:]} ms, {lost} times not; {held}", file=sys.stderr)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(2.0)  # the writer's queue
    return {
        "kills": times,
        "sessions": sessions,
        "sessions_lost": sum(len(talker.result.sessions) != 1 for talker in talkers),
        "kills_without_an_answer_after": lost,
        "all_answered_again_ms": percentiles(back),
        "answers": sum(talker.result.answered for talker in talkers),
        "turns": [_kept(product, talker) for talker in talkers],
    }


async def _until(ready: Any, running: list[asyncio.Task[Any]]) -> None:
    while not ready():
        for task in running:
            if task.done():
                task.result()
        await asyncio.sleep(0.02)


def _inference_pid(product: Product) -> int:
    """The server that listens now; it has another number after every kill."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve" in command and product.inference_url.encode() in command:
                return int(folder.name)
    raise RuntimeError(f"no process serves {product.inference_url}")


def _kept(product: Product, talker: Talker) -> dict[str, int]:
    """Finished turns that the client was told of, and turns in the database, with the codes that memory is made of."""
    database = Path(parse_address(product.inference_url).path or "").parent.parent / "db.sqlite3"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as rows:
        session = next(iter(talker.result.sessions)).replace("-", "")
        found = rows.execute("select role, codes from voice_turn where session_id = ?", (session,)).fetchall()
    mine = [codes for role, codes in found if role == "user"]
    return {
        "finished": talker.result.endpoints,
        "stored": len(mine),
        "with_codes": sum(bool(codes) for codes in mine),
        "answers_stored": len(found) - len(mine),
    }


async def measure_vanishing(product: Product, times: int) -> dict[str, Any]:
    """A client that is gone without a word while its answer is made: how long until its slot is free."""
    address = parse_address(product.inference_url)
    freed: list[float] = []
    for number in range(times):
        async with connect(product.ws_url, origin=Origin(product.origin), max_queue=None, compression=None) as socket:
            hello = {"type": "hello", "protocol": 1, "mode": "talk", "client": "bench", "keep_audio": "codes"}
            await socket.send(json.dumps(hello))
            welcome = json.loads(await socket.recv())
            pcm = bytes(16 * FRAME) + question(number).astype("<i2").tobytes() + bytes(400 * FRAME)
            asking = asyncio.create_task(_speak(socket, pcm, welcome["generation"]))
            async with asyncio.timeout(20.0):
                while isinstance(message := await socket.recv(), str):
                    pass
            assert isinstance(message, bytes)
            asking.cancel()
            before = (await probe(address, 5.0)).active
            gone = time.monotonic()
            socket.transport.abort()
            while (await probe(address, 5.0)).active >= before:
                pass
            freed.append(1000 * (time.monotonic() - gone))
    return {"vanished": times, "slot_free_ms": percentiles(freed), "slowest_ms": round(max(freed), 1)}


async def _speak(socket: Any, pcm: bytes, generation: int) -> None:
    due = time.monotonic()
    for seq in range(len(pcm) // (2 * FRAME)):
        chunk = pcm[2 * FRAME * seq : 2 * FRAME * (seq + 1)]
        await socket.send(HEADER.pack(1, seq, seq * 20, generation) + chunk)
        due += FRAME_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
