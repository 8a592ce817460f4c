"""The OpenAI-compatible adapter and a core in one process: events in, events out, held to the protocol's model."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Coroutine
from typing import Any

import numpy as np

from apps.voice.openai_realtime.adapter import RealtimeSide
from apps.voice.openai_realtime.session import Offer, SessionConfig, SessionPatch
from tests.support.realtime_core import InProcessCore
from tests.support.realtime_model import Event, ProtocolModel
from tests.support.virtual_time import VirtualLoop

OFFER = Offer(("priya", "arjun", "ravi", "lakshmi"), ("neutral", "happy"))
MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
_random = np.random.default_rng(7)


def noise(ms: int, rate: int = 24_000, amplitude: int = 9_000) -> bytes:
    """PCM16LE that counts as speech; with a small amplitude as the silence of a room."""
    return (_random.standard_normal(ms * rate // 1000) * amplitude).clip(-32_000, 32_000).astype("<i2").tobytes()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class World:
    """``events`` is everything the client got; a close is kept in ``close_code``."""

    def __init__(self, *, transcripts: bool = True, first: dict[str, Any] | None = None, **core: Any) -> None:
        self.loop = VirtualLoop()
        self.model = ProtocolModel(transcripts=transcripts)
        self.events: list[Event] = []
        self.close_code: int | None = None
        self.run(self._start(transcripts, first, core))
        self.wait(0.05)

    async def _start(self, transcripts: bool, first: dict[str, Any] | None, core: dict[str, Any]) -> None:
        config = SessionConfig(OFFER, "telugu-voice", transcripts=transcripts)
        self.side = RealtimeSide(self._sent, config, caption=self._caption if transcripts else None)
        self.core = InProcessCore(self.side, **core)
        self.side.begin(self.core, "tests", None if first is None else SessionPatch.model_validate(first))
        pumps = (self.core.run(), self.side.speak(), self.side.feed(), self.side.watch())
        self.pumps = [self.loop.create_task(pump) for pump in pumps]

    async def _sent(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
            return
        event = json.loads(message["text"])
        self.events.append(event)
        self.model.feed(event)

    async def _caption(self, pcm: bytes) -> str:
        await asyncio.sleep(0.1)
        return f"{len(pcm) // 32} ms"

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)
        for pump in self.pumps:
            if pump.done():
                pump.result()  # what failed there fails here

    def wait(self, seconds: float) -> None:
        """So much time passes for everybody but us."""
        self.run(asyncio.sleep(seconds))

    def say(self, kind: str, **fields: Any) -> None:
        """An event of the client."""

        async def hear() -> None:
            self.side.hear(json.dumps({"type": kind, **fields}))

        self.run(hear())

    def hear(self, text: str) -> None:
        """A message of the client, whatever it is."""

        async def hear() -> None:
            self.side.hear(text)

        self.run(hear())

    def append(self, pcm: bytes) -> None:
        self.say("input_audio_buffer.append", audio=b64(pcm))

    def manual(self) -> None:
        self.say("session.update", session=MANUAL)

    def ask(self, ms: int = 300) -> None:
        """A manual turn."""
        self.append(noise(ms))
        self.say("input_audio_buffer.commit")
        self.say("response.create")

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    def settle(self) -> None:
        """Whatever was asked for has come to its end."""
        quiet_s, deadline_s = 0.0, 120.0
        while quiet_s < 2.0:
            before = len(self.events)
            self.wait(0.5)
            deadline_s -= 0.5
            quiet_s = 0.0 if self.model.active or len(self.events) != before else quiet_s + 0.5
            assert deadline_s > 0, f"a response that never ends: {self.kinds()[-10:]}"
        assert not self.model.awaited, "an item that was never said to be done"

    def close(self) -> None:
        self.loop.finish()
