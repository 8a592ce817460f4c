"""Conversations over real WebSockets: clients that ask Telugu questions in real time, and how long the silence lasts.

Each client has a question of its own (espeak-ng, its own pitch and pace), a microphone that never stops, and a player
that starts after `PLAYER_MS` and reports what it has played. Silence is from the last loud sample handed to the socket
to the first sample heard; the server's own figure begins where it decided that the speech had ended.
"""

import asyncio
import contextlib
import json
import math
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from benchmarks.crosstalk import crosstalk
from benchmarks.elsewhere import Moment, by_minute, moment, watch
from benchmarks.live import percentiles
from benchmarks.product import Product
from ml.serve.wire import parse_address, probe

HEADER = struct.Struct("<BIII")
FRAME = 320
FRAME_S = 0.02
PLAYER_MS = 90.0
"""What a browser's player buffers before it starts (80 + 10 ms, see the page's jitter buffer)."""
BARGE_IN_EVERY = 4
PAUSE_S = 0.8
QUESTIONS = [
    "మీరు ఎలా ఉన్నారు",
    "ఈ రోజు వాతావరణం ఎలా ఉంది",
    "మీ పేరు ఏమిటి",
    "నాకు ఒక కథ చెప్పండి",
    "ఈ రోజు ఏం వంట చేయాలి",
    "నాకు చాలా సంతోషంగా ఉంది",
    "రేపు వర్షం పడుతుందా",
    "ఒక జోక్ చెప్పండి",
    "మీకు ఏ పాట ఇష్టం",
    "నాకు తలనొప్పిగా ఉంది",
    "హైదరాబాద్ ఎంత దూరం",
    "ఒక సామెత చెప్పండి",
]


def question(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Client ``number``'s question, as `spoken` says it."""
    return spoken(QUESTIONS[number % len(QUESTIONS)], number)


def spoken(text: str, number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """``text`` in client ``number``'s voice, int16 at 16 kHz, without silence around it. Needs espeak-ng."""
    voice = f"te+{'f' if number % 2 else 'm'}{1 + number % 3}"
    pace, pitch = str(140 + 7 * (number % 4)), str(40 + 5 * (number % 5))
    command = ["espeak-ng", "-v", voice, "-s", pace, "-p", pitch, "--stdout", text]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    samples = np.frombuffer(raw[44:], "<i2").astype(np.float64)
    at = np.arange(0, len(samples) - 1, 22_050 / 16_000)
    audio = np.interp(at, np.arange(len(samples)), samples)
    loud = np.flatnonzero(np.abs(audio) > 600)
    return audio[loud[0] : loud[-1]].clip(-32768, 32767).astype(np.int16)


@dataclass
class Answered:
    """What one client measured; times in ms."""

    silence_heard: list[float] = field(default_factory=list)
    first_packet: list[float] = field(default_factory=list)
    """From the end of the speech to the first audio's arrival, without the player's buffer."""
    server: list[float] = field(default_factory=list)
    """From the decision to the first audio's leaving the inference server, by its own account."""
    web: list[float] = field(default_factory=list)
    endpoint: list[float] = field(default_factory=list)
    barge_in: list[float] = field(default_factory=list)
    """From the start of the speech over the answer to the word that makes the client fall silent."""
    gaps: int = 0
    """Times that the player ran dry inside an answer."""
    asked: int = 0
    answered: int = 0
    resumed: int = 0
    sessions: set[str] = field(default_factory=set)
    """One, unless a session was lost."""
    endpoints: int = 0
    """Turns of the person that the server took for finished."""
    said: list[bytes] = field(default_factory=list)
    """What was heard of each answer, PCM16LE."""
    captions: dict[str, list[str]] = field(default_factory=lambda: {"user": [], "assistant": []})
    """What the server understood of stored turns, by whose they are."""


class Unserved(RuntimeError):
    """There is no session to be had now."""


class Talker:
    """One client."""

    def __init__(self, product: Product, number: int) -> None:
        self.product = product
        self.number = number
        self.result = Answered()
        self._speech = question(number)
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._speaking: list[bytes] = []
        self._spoken = asyncio.Event()
        self._speech_ended_at = 0.0
        self._generation = 0
        self._first_audio_at: float | None = None
        self._heard_ms = 0.0
        self._play_from: float | None = None
        self._audio_ended = True
        self._token: str | None = None
        self._roles: dict[str, str] = {}

    @property
    def text(self) -> str:
        """What it asks."""
        return QUESTIONS[self.number % len(QUESTIONS)]

    @property
    def hears(self) -> bool:
        """Whether an answer is being heard that has begun and not ended."""
        return not self._audio_ended and self._play_from is not None and self._played_ms() > 200

    async def run(self, seconds: float) -> Answered:
        """Talk for so long; a connection that is lost is resumed."""
        until = time.monotonic() + seconds
        await asyncio.sleep(0.37 * self.number % 3.0)
        while time.monotonic() < until:
            try:
                async with connect(
                    self.product.ws_url,
                    origin=Origin(self.product.origin),
                    max_queue=None,
                    compression=None,
                ) as socket:
                    await self._converse(socket, until)
                    return self.result
            except (ConnectionClosed, OSError, Unserved) as error:
                if isinstance(error, Unserved) and self._token is None:
                    raise
                self.result.resumed += not isinstance(error, Unserved)
                self._audio_ended, self._speaking = True, []
                await asyncio.sleep(0.5)
        return self.result

    async def _converse(self, socket: ClientConnection, until: float) -> None:
        hello = {"type": "hello", "protocol": 1, "mode": "talk", "client": "bench", "keep_audio": "codes"}
        await socket.send(json.dumps({**hello, "resume": self._token}))
        welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise Unserved(f"no session: {welcome}")
        self.result.sessions.add(welcome["session"])
        self._token, self._generation = welcome["resume_token"], welcome["generation"]
        self._heard_ms, self._play_from = 0.0, None
        tasks = [asyncio.create_task(part) for part in (self._microphone(socket), self._report(socket))]
        tasks.append(asyncio.create_task(self._hear(socket)))
        asking = asyncio.create_task(self._ask(until))
        try:
            done, _ = await asyncio.wait([*tasks, asking], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await socket.send(json.dumps({"type": "end"}))
        finally:
            for task in [*tasks, asking]:
                task.cancel()
            await asyncio.gather(*tasks, asking, return_exceptions=True)

    # -- what a person does --------------------------------------------------------------------------------

    async def _ask(self, until: float) -> None:
        await asyncio.sleep(1.0)
        while time.monotonic() < until - 3.0:
            while not self._events.empty():
                self._events.get_nowait()
            self._first_audio_at = None
            await self._say()
            self.result.asked += 1
            started = await self._wait_for("started", 6.0)
            if started is None:
                continue
            await self._measure(started)
            if self.result.answered % BARGE_IN_EVERY == 0:
                await asyncio.sleep(1.2)
                if not self._audio_ended:
                    began = time.monotonic()
                    speaking = asyncio.create_task(self._say())
                    if await self._wait_for("generation", 4.0) is not None:
                        self.result.barge_in.append(1000 * (time.monotonic() - began))
                    await speaking
                    await self._wait_for("started", 6.0)
            await self._wait_for("ended", 25.0)
            await asyncio.sleep(PAUSE_S)

    async def _say(self, speech: np.ndarray[Any, np.dtype[np.int16]] | None = None) -> None:
        self._spoken.clear()
        pcm = (self._speech if speech is None else speech).astype("<i2").tobytes()
        self._speaking = [pcm[i : i + 2 * FRAME] for i in range(0, len(pcm) - 2 * FRAME + 1, 2 * FRAME)]
        await self._spoken.wait()

    async def _measure(self, started: dict[str, Any]) -> None:
        ended_at = self._speech_ended_at
        for _ in range(200):
            if self._first_audio_at is not None:
                break
            await asyncio.sleep(0.005)
        if self._first_audio_at is None:
            return
        result, latency = self.result, started["latency"]
        result.answered += 1
        result.first_packet.append(1000 * (self._first_audio_at - ended_at))
        result.silence_heard.append(result.first_packet[-1] + PLAYER_MS)
        result.server.append(latency["server_ms"])
        result.endpoint.append(latency["endpoint_ms"])

    async def _wait_for(self, what: str, seconds: float) -> dict[str, Any] | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    event = await self._events.get()
                    if event["type"] == what or (event["type"] == "answer" and event["event"] == what):
                        return event
        return None

    # -- the socket ----------------------------------------------------------------------------------------

    async def _microphone(self, socket: ClientConnection) -> None:
        quiet = (np.random.default_rng(self.number).standard_normal(FRAME) * 15).astype("<i2").tobytes()
        due, seq = time.monotonic(), 0
        while True:
            if self._speaking:
                frame = self._speaking.pop(0)
                if not self._speaking:
                    self._speech_ended_at = time.monotonic()
                    self._spoken.set()
            else:
                frame = quiet
            await socket.send(HEADER.pack(1, seq, seq * 20, self._generation) + frame)
            seq += 1
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _report(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(0.25)
            played = self._played_ms()
            report = {"type": "played", "generation": self._generation, "played_ms": int(played), "underruns": 0}
            await socket.send(json.dumps({**report, "buffered_ms": int(self._heard_ms - played)}))

    def _played_ms(self) -> float:
        if self._play_from is None:
            return self._heard_ms
        return min(self._heard_ms, 1000 * (time.monotonic() - self._play_from))

    async def _hear(self, socket: ClientConnection) -> None:
        async for message in socket:
            now = time.monotonic()
            if isinstance(message, bytes):
                _, _, at_ms, generation = HEADER.unpack_from(message)
                if generation < self._generation:
                    continue
                played = self._played_ms()
                if self._play_from is None or played >= self._heard_ms:
                    if self._play_from is not None and not self._audio_ended and self._first_audio_at is not None:
                        self.result.gaps += 1
                    self._play_from = now + PLAYER_MS / 1000 - at_ms / 1000
                self._heard_ms = at_ms + (len(message) - HEADER.size) / 32
                if self.result.said:
                    self.result.said[-1] += message[HEADER.size :]
                self._first_audio_at = self._first_audio_at or now
                continue
            event = json.loads(message)
            if event["type"] == "generation":
                self._generation, self._heard_ms, self._play_from = event["generation"], 0.0, None
            if event["type"] == "answer":
                self._audio_ended = event["event"] != "started"
                if event["event"] == "started":
                    self.result.said.append(b"")
            self.result.endpoints += event["type"] == "endpoint"
            if event["type"] == "turn":
                self._roles[event["id"]] = event["role"]
                if "web_ms" in event["latency"]:
                    self.result.web.append(event["latency"]["web_ms"])
            if event["type"] == "caption":
                self.result.captions[self._roles[event["turn"]]].append(event["text"])
            await self._events.put(event)


async def measure_talk(product: Product, sessions: int, seconds: float) -> dict[str, Any]:
    """``sessions`` conversations at once: silence, stages, barge-in, late ticks, and what the processes hold."""
    before = await probe(parse_address(product.inference_url), 5.0)
    samples: list[dict[str, dict[str, float]]] = []
    busy: list[Moment] = []
    sampling = asyncio.create_task(_sample(product, samples))
    watching = asyncio.create_task(watch(product.inference_url, busy))
    talkers = [Talker(product, number) for number in range(sessions)]
    results = await asyncio.gather(*(talker.run(seconds) for talker in talkers))
    sampling.cancel()
    watching.cancel()
    busy.append(await moment(product.inference_url))
    after = await probe(parse_address(product.inference_url), 5.0)
    ticks = after.ticks - before.ticks
    late = after.late_ticks - before.late_ticks

    def all_of(name: str) -> dict[str, float | None]:
        return percentiles([ms for result in results for ms in getattr(result, name)])

    return {
        "sessions": sessions,
        "seconds": seconds,
        "asked": sum(result.asked for result in results),
        "answered": sum(result.answered for result in results),
        "resumed": sum(result.resumed for result in results),
        "silence_heard_ms": all_of("silence_heard"),
        "first_packet_ms": all_of("first_packet"),
        "endpoint_ms": all_of("endpoint"),
        "server_ms": all_of("server"),
        "web_ms": all_of("web"),
        "player_ms": PLAYER_MS,
        "barge_in_ms": {**all_of("barge_in"), "count": sum(len(result.barge_in) for result in results)},
        "gaps": sum(result.gaps for result in results),
        "crosstalk": crosstalk(talkers),
        "ticks": ticks,
        "late_ticks": late,
        "late_share": round(late / ticks, 4) if ticks else None,
        "tick_ms": {"p50": after.tick_ms_p50, "p95": after.tick_ms_p95},
        "by_minute": by_minute(busy),
        "processes": _growth(samples),
    }


async def _sample(product: Product, samples: list[dict[str, dict[str, float]]]) -> None:
    while True:
        samples.append({name: held for name, pid in product.children().items() if (held := _held(pid))})
        await asyncio.sleep(5.0)


def _held(pid: int) -> dict[str, float]:
    """Resident MB, open files and number of a process (Linux)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024
        return {"resident_mb": round(resident, 1), "files": len(list(Path(f"/proc/{pid}/fd").iterdir())), "pid": pid}
    except (OSError, StopIteration):
        return {}


def _growth(samples: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """By process: the mean of each tenth of the run, first third against last third, and how often it was started
    anew."""

    def mean(part: list[dict[str, dict[str, float]]], name: str, what: str) -> float | None:
        values = [sample[name][what] for sample in part if name in sample]
        return round(sum(values) / len(values), 1) if values else None

    third = max(1, math.ceil(len(samples) / 3))
    tenths = [samples[len(samples) * n // 10 : len(samples) * (n + 1) // 10] for n in range(10)]
    found: dict[str, Any] = {}
    for name in sorted({name for sample in samples for name in sample}):
        there = [sample for sample in samples if name in sample]
        found[name] = {
            what: [mean(samples[:third], name, what), mean(samples[-third:], name, what)]
            for what in ("resident_mb", "files")
        }
        found[name]["resident_mb_by_tenth"] = [mean(part, name, "resident_mb") for part in tenths]
        found[name]["started_anew"] = len({sample[name]["pid"] for sample in there}) - 1
        found[name]["absent"] = len(samples) - len(there)
    return found
