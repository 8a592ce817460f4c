"""Whether a change of a speaker's pitch is heard in a live session's next answers: by the admin, by REST, on the page.

One conversation goes on all the while. Each way moves the pitch; a few answers later the median fundamental frequency
of what was really sent is compared with that of the answers before any change. Needs espeak-ng (it asks) and Praat.
"""

import asyncio
import http.cookiejar
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.conversation import FRAME, FRAME_S, HEADER, question
from benchmarks.product import Product
from ml.train.labels import pitch_of

SHIFT = 4.0
"""Semitones that each way asks for."""


class _Fields(HTMLParser):
    """What a browser would send of a form: names and values."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        name = own.get("name") or ""
        if tag == "input" and name and own.get("type") not in ("submit", "button", "file"):
            if own.get("type") in ("checkbox", "radio") and "checked" not in own:
                return
            self.values[name] = own.get("value") or ("on" if own.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in own:
            self.values[self._select] = own.get("value") or ""
        elif tag == "textarea" and name:
            self._textarea = name
            self.values[name] = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._textarea = ""


class Operator:
    """Somebody logged in, with cookies."""

    def __init__(self, product: Product) -> None:
        self.origin = product.origin
        self.jar = http.cookiejar.CookieJar()
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar)).open
        password = re.search(r"password: (\S+)", product.output)
        if password is None:
            raise RuntimeError(f"the launcher printed no password:\n{product.output}")
        self.post("/admin/login/?next=/admin/", {"username": "operator", "password": password[1]})

    def _cookie(self, name: str) -> str:
        return next((c.value or "" for c in self.jar if c.name == name), "")

    def get(self, path: str) -> str:
        with self.open(self.origin + path) as answer:
            return str(answer.read().decode())

    def post(self, path: str, changes: dict[str, str]) -> str:
        """Fill in the form at ``path`` and send it; the page that comes back."""
        form = _Fields()
        form.feed(self.get(path))
        form.values.pop("_continue", None)
        body = urllib.parse.urlencode(form.values | changes).encode()
        request = urllib.request.Request(self.origin + path, body, {"Referer": self.origin + path})
        with self.open(request) as answer:
            return str(answer.read().decode())

    def admin(self, semitones: float) -> None:
        """The speaker's form in the admin."""
        rows = self.get("/admin/speakers/speaker/?q=priya")
        found = re.search(r"/admin/speakers/speaker/([^/]+)/change/", rows)
        if found is None:
            raise RuntimeError("the admin lists no speaker: could not log in?")
        page = self.post(found[0], {"pitch_semitones": str(semitones), "_save": "1"})
        if "errornote" in page or "errorlist" in page:
            raise RuntimeError("the admin refused the form")

    def rest(self, semitones: float) -> None:
        """PATCH of the speaker."""
        headers = {
            "Content-Type": "application/json",
            "If-Match": "*",
            "X-CSRFToken": self._cookie("csrftoken"),
            "Referer": self.origin + "/",
        }
        body = json.dumps({"pitch_semitones": semitones}).encode()
        address = self.origin + "/api/v1/speakers/priya"
        self.open(urllib.request.Request(address, body, headers, method="PATCH")).close()


class Conversation:
    """A microphone that never stops and ears that keep each answer."""

    def __init__(self, socket: ClientConnection, generation: int) -> None:
        self.socket, self.generation = socket, generation
        self.saying: list[bytes] = []
        self.answer: list[bytes] = []
        self.ended = asyncio.Event()
        self.played_ms = 0

    async def microphone(self) -> None:
        quiet = (np.random.default_rng(0).standard_normal(FRAME) * 15).astype("<i2").tobytes()
        due, seq = time.monotonic(), 0
        while True:
            frame = self.saying.pop(0) if self.saying else quiet
            await self.socket.send(HEADER.pack(1, seq, seq * 20, self.generation) + frame)
            seq += 1
            if seq % 12 == 0:
                report = {"type": "played", "generation": self.generation, "played_ms": self.played_ms}
                await self.socket.send(json.dumps({**report, "buffered_ms": 0, "underruns": 0}))
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def ears(self) -> None:
        async for message in self.socket:
            if isinstance(message, bytes):
                _, _, at_ms, generation = HEADER.unpack_from(message)
                if generation == self.generation:
                    self.answer.append(message[HEADER.size :])
                    self.played_ms = at_ms + (len(message) - HEADER.size) // 32
                continue
            event = json.loads(message)
            if event["type"] == "generation":
                self.generation, self.played_ms = event["generation"], 0
            elif event["type"] == "answer" and event["event"] == "started":
                self.answer = []
            elif event["type"] == "answer":
                self.ended.set()

    async def pitch(self, answers: int) -> float:
        """Median fundamental frequency (Hz) of the next answers."""
        hertz: list[np.ndarray[Any, Any]] = []
        for number in range(answers):
            pcm = question(number).astype("<i2").tobytes()
            self.ended.clear()
            self.saying = [pcm[i : i + 2 * FRAME] for i in range(0, len(pcm) - 2 * FRAME + 1, 2 * FRAME)]
            async with asyncio.timeout(40):
                await self.ended.wait()
            await asyncio.sleep(0.6)
            audio = (np.frombuffer(b"".join(self.answer), "<i2") / 32768.0).astype(np.float32)
            track = await asyncio.to_thread(pitch_of, audio)
            hertz.append(track[track > 0])
        return float(np.median(np.concatenate(hertz)))


@asynccontextmanager
async def _talking(product: Product) -> AsyncIterator[Conversation]:
    async with connect(product.ws_url, origin=Origin(product.origin), max_queue=None, compression=None) as socket:
        hello = {"type": "hello", "protocol": 1, "mode": "talk", "speaker": "priya", "emotion": "neutral"}
        await socket.send(json.dumps(hello))
        welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise RuntimeError(f"no session: {welcome}")
        talking = Conversation(socket, welcome["generation"])
        tasks = [asyncio.create_task(talking.microphone()), asyncio.create_task(talking.ears())]
        try:
            yield talking
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def measure_pitch(product: Product, answers: int = 4) -> dict[str, Any]:
    """Semitones by which each way moved what is heard, of `SHIFT` asked for."""
    operator = await asyncio.to_thread(Operator, product)
    result: dict[str, Any] = {"asked_semitones": SHIFT, "answers": answers}
    async with _talking(product) as talking:
        rest = await talking.pitch(answers)
        result["at_rest_hz"] = round(rest, 1)

        async def page(semitones: float) -> None:
            await talking.socket.send(json.dumps({"type": "config", "pitch_semitones": semitones}))

        ways: dict[str, Callable[[float], Any]] = {"admin": operator.admin, "rest": operator.rest, "page": page}
        for name, move in ways.items():
            for semitones in (SHIFT, 0.0):
                if name == "page":
                    await move(semitones)
                else:
                    await asyncio.to_thread(move, semitones)
                if semitones:
                    hertz = await talking.pitch(answers)
                    result[name] = {"hz": round(hertz, 1), "semitones": round(12 * float(np.log2(hertz / rest)), 2)}
    return result
