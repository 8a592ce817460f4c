"""What dies and what goes on: an inference server killed in mid-answer, clients that vanish while the model is busy.

Whether anybody's memory died with the server is asked: everybody's first words after a kill are "say that again".
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Origin

from benchmarks.conversation import FRAME, FRAME_S, HEADER, PAUSE_S, Talker, question, spoken
from benchmarks.live import percentiles
from benchmarks.product import Product
from ml.data.corpus.loader import load_corpus
from ml.serve.wire import parse_address, probe

BACK_S = 90.0
"""For so long a session may be without a server before it counts as lost."""
AGAIN = "మళ్ళీ చెప్పండి"


class Reminding(Talker):
    """One that, whenever a connection was lost, first asks to hear the last answer again."""

    def __init__(self, product: Product, number: int) -> None:
        super().__init__(product, number)
        self.reminders: list[str] = []
        """Ids of the turns in which it asked that, as far as it was told that they are stored."""
        self._again = spoken(AGAIN, number)
        self._reminded = 0

    async def _ask(self, until: float) -> None:
        if self.result.resumed > self._reminded:
            self._reminded = self.result.resumed
            await asyncio.sleep(1.0)
            await self._remind()
        await super()._ask(until)

    async def _remind(self) -> None:
        before = set(self._roles)
        self._first_audio_at = None
        await self._say(self._again)
        started = await self._wait_for("started", 6.0)
        if started is not None:
            await self._measure(started)
            await self._wait_for("ended", 25.0)
        told = [turn for turn, role in self._roles.items() if role == "user" and turn not in before]
        self.reminders += told[:1]
        await asyncio.sleep(PAUSE_S)


@dataclass(frozen=True)
class Row:
    """A stored turn."""

    id: str
    role: str
    plan: int | None
    caption: str


def said_again(rows: Sequence[Row], reminders: Collection[str], phrasings: Collection[str]) -> dict[str, int]:
    """Of the turns (oldest first) that asked for the last answer again, how many had it, by the plan that was taken.

    ``nothing_before``: the turn before was never answered, so that there was nothing to say again; ``misheard``: what
    was asked was taken for something else. Neither tells of the memory.
    """
    found = {"asked": 0, "same_answer": 0, "another_answer": 0, "misheard": 0, "nothing_before": 0}
    for at, row in enumerate(rows):
        if row.id not in reminders:
            continue
        found["asked"] += 1
        before, after = (rows[at - 1] if at else None), (rows[at + 1] if at + 1 < len(rows) else None)
        if before is None or before.role == "user":
            found["nothing_before"] += 1
        elif after is not None and after.role == "assistant" and after.plan == before.plan is not None:
            found["same_answer"] += 1
        else:
            found["misheard" if row.caption not in phrasings else "another_answer"] += 1
    return found


async def measure_kills(product: Product, sessions: int, times: int) -> dict[str, Any]:
    """Kill the inference server `times` times while somebody hears an answer, and see what every session has then."""
    talkers = [Reminding(product, number) for number in range(sessions)]
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
                # That was the last answer again: a kill comes into the answer to another question.
                async with asyncio.timeout(BACK_S):
                    await _until(
                        lambda before=answered: all(
                            talker.result.answered > count + 1 for talker, count in zip(talkers, before, strict=True)
                        ),
                        running,
                    )
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
        "said_again": _memory(product, talkers),
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
    found = _turns(product, talker, "role, codes")
    mine = [codes for role, codes in found if role == "user"]
    return {
        "finished": talker.result.endpoints,
        "stored": len(mine),
        "with_codes": sum(bool(codes) for codes in mine),
        "answers_stored": len(found) - len(mine),
    }


def _memory(product: Product, talkers: Sequence[Reminding]) -> dict[str, int]:
    """`said_again` of everybody's stored turns."""
    phrasings = {AGAIN, *(text for _, text in load_corpus().followups["again"].ask.items())}
    total: Counter[str] = Counter()
    for talker in talkers:
        rows = [
            Row(str(uuid.UUID(turn)), role, json.loads(stats).get("plan"), caption)
            for turn, role, stats, caption in _turns(product, talker, "id, role, stats, caption")
        ]
        total.update(said_again(rows, talker.reminders, phrasings))
    return dict(total)


def _turns(product: Product, talker: Talker, columns: str) -> list[Any]:
    """Columns of the client's stored turns, oldest first."""
    database = Path(parse_address(product.inference_url).path or "").parent.parent / "db.sqlite3"
    session = next(iter(talker.result.sessions)).replace("-", "")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as rows:
        asking = f'select {columns} from voice_turn where session_id = ? order by "index"'
        return rows.execute(asking, (session,)).fetchall()


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
