"""What both kinds of conversation share: audio from the client up to the inference server, and audio back to it.

    accept -> [up] -> pump_up -> inference -> pump_in -> [down] -> pump_down (credit) -> client

Both mailboxes are bounded and drop their oldest; what goes down carries its generation and is dropped once that is
stale. No database call anywhere here.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from apps.voice import metrics
from apps.voice.credit import CreditWindow
from apps.voice.inference_client import AudioDown, InferenceLink, InferenceLost
from apps.voice.mailbox import DropOldest
from apps.voice.meter import Meter
from apps.voice.outlet import Outlet
from apps.voice.protocol import (
    BYTES_PER_MS,
    FRAME_MS,
    U32_MAX,
    AudioFrame,
    Played,
    ServerEvent,
    Stats,
    pack_audio,
)
from apps.voice.turns import TurnCut

UP_FRAMES = 50
"""Microphone audio that waits for the inference server: a second, as after a stall of the network."""
STALL_S = 5.0
"""An inference server that says nothing, or answers no frame, for this long is lost."""

SendAudio = Callable[[bytes], Awaitable[None]]
Say = Callable[[ServerEvent], None]


@dataclass(frozen=True, slots=True)
class Up:
    """A microphone frame on its way; ``index`` counts accepted frames from 0: the media clock, 20 ms each."""

    index: int
    generation: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Down:
    """Audio on its way back; ``about`` is the flow's own business. Without audio: here an answer ends."""

    generation: int
    pcm: bytes
    came_at: float
    about: Any


class Flow(ABC):
    """The audio of one link to an inference server."""

    def __init__(
        self,
        *,
        link: InferenceLink,
        send_audio: SendAudio,
        outlet: Outlet,
        say: Say,
        generation: int,
        quantizers: int,
        max_ahead_ms: int,
        down_frames: int,
        down_seq: int = 0,
    ) -> None:
        self.link = link
        self.generation = generation
        self.meter = Meter()
        self.down_seq = down_seq
        """Counts audio frames to the client over the whole connection."""
        self._send_audio = send_audio
        self._outlet = outlet
        self._say = say
        self._quantizers = quantizers
        self._up: DropOldest[Up] = DropOldest(UP_FRAMES)
        self._down: DropOldest[Down] = DropOldest(down_frames)
        self._sending = False
        self._up_empty = asyncio.Event()
        self._accepted = 0
        self._wishes: DropOldest[Callable[[], Awaitable[None]]] = DropOldest(64)
        self._credit = CreditWindow(max_ahead_ms=max_ahead_ms)
        self._credit.restart(generation)
        self._credit_moved = asyncio.Event()
        self._moved = asyncio.Event()

    # -- from the client: never waits ----------------------------------------------------------------------

    def accept(self, pcm: bytes) -> None:
        """A microphone frame. The client's own numbers and clock end here: the server hears a contiguous count."""
        index = self._accepted
        self._accepted += 1
        metrics.count("audio_up_frames_total")
        self._heard(index, pcm)
        if (dropped := self._up.put(Up(index, self.generation, pcm))) is not None:
            self._never_asked(dropped)

    def played(self, message: Played) -> None:
        """The client's report of what it has played."""
        self._credit.report(message.generation, message.played_ms, time.monotonic())
        self._credit_moved.set()

    @abstractmethod
    def round_trip(self, rtt_ms: float) -> None:
        """The client's measurement of the network."""

    def interrupt(self) -> int:
        """Raise the generation: what is on its way is stale. Returns the new one."""
        generation = self._raise_generation()
        self._wish(lambda: self.link.set(generation=generation))
        return generation

    def set_quantizers(self, quantizers: int) -> None:
        """Decode with that many levels from the next frame on."""
        if quantizers != self._quantizers:
            self._quantizers = quantizers
            self._wish(lambda: self.link.set(quantizers=quantizers))

    # -- the pumps -----------------------------------------------------------------------------------------

    async def pump_up(self) -> None:
        """Microphone frames to the inference server. Raises :class:`InferenceLost`."""
        while True:
            frame = await self._up.get()
            self._sending = True
            await self.link.send_audio(frame.index, frame.index * FRAME_MS & U32_MAX, frame.generation, frame.pcm)
            self._sending = False
            if not self._up:
                self._up_empty.set()

    async def pump_wishes(self) -> None:
        """Changes to the inference server, in order. Raises :class:`InferenceLost`."""
        while True:
            wish = await self._wishes.get()
            await wish()

    @abstractmethod
    async def pump_in(self) -> None:
        """What the inference server says. Raises :class:`InferenceLost`."""

    async def pump_down(self) -> None:
        """Audio to the client, as fast as its credit allows."""
        while True:
            frame = await self._down.peek()
            if frame.generation < self.generation:
                self._down.pop()
                self._given_up(frame)
                continue
            now = time.monotonic()
            duration_ms = len(frame.pcm) // BYTES_PER_MS
            wait_s = self._credit.wait_s(duration_ms, now)
            if wait_s == 0.0:
                self._down.pop()
                await self._send(frame, now)
                continue
            self._credit_moved.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._credit_moved.wait()
            except TimeoutError:
                pass

    async def keep_alive(self, number: int) -> None:
        """Ask the inference server for a sign of life, and judge the ones it gave. Raises :class:`InferenceLost`."""
        if self.link.silent_s() > STALL_S or self._unanswered_s() > STALL_S:
            raise InferenceLost(f"{self.link.address} has not answered for {STALL_S:.0f} s")
        await self.link.ping(number)

    # -- what is known -------------------------------------------------------------------------------------

    @abstractmethod
    async def settled(self) -> None:
        """Wait until nothing more comes back of what was accepted."""

    def too_slow(self) -> bool:
        """The client owes reports for too long."""
        return self._credit.overdue(time.monotonic())

    def stats(self, elapsed_s: float) -> Stats:
        """The figures since the last call."""
        ahead_ms = self._credit.ahead_ms(time.monotonic())
        return self.meter.second(elapsed_s, quantizers=self._quantizers, ahead_ms=ahead_ms)

    @abstractmethod
    def turns(self) -> list[TurnCut]:
        """Turns that became complete."""

    @abstractmethod
    def last_turns(self) -> list[TurnCut]:
        """The link ends: all there is."""

    # -- inside --------------------------------------------------------------------------------------------

    @abstractmethod
    def _heard(self, index: int, pcm: bytes) -> None: ...

    @abstractmethod
    def _never_asked(self, frame: Up) -> None: ...

    @abstractmethod
    def _given_up(self, frame: Down) -> None: ...

    @abstractmethod
    def _sent(self, frame: Down, at_ms: int, server_ms: float) -> None: ...

    def _unanswered_s(self) -> float:
        """How long the oldest frame that needs an answer has waited for it."""
        return 0.0

    async def _all_up(self) -> None:
        """Wait until every accepted frame is on its way to the inference server."""
        while self._up or self._sending:
            self._up_empty.clear()
            await self._up_empty.wait()

    def _wish(self, wish: Callable[[], Awaitable[None]]) -> None:
        self._wishes.put(wish)

    def _raise_generation(self) -> int:
        self.generation = min(self.generation + 1, U32_MAX)
        for frame in self._down.clear():
            self._given_up(frame)
        self._credit.restart(self.generation)
        self._credit_moved.set()
        return self.generation

    def _coded(self, down: AudioDown) -> None:
        self.meter.coded(down)

    async def _send(self, frame: Down, now: float) -> None:
        begins_ms = self._credit.sent_ms + round(self._outlet.waiting_ms(frame.generation))
        for payload, duration_ms in self._outlet.pieces(frame.generation, frame.pcm):
            at_ms = self._credit.sent_ms
            header = AudioFrame(self._outlet.kind, self.down_seq, at_ms, frame.generation, payload)
            self.down_seq += 1
            metrics.count("audio_down_frames_total")
            self._credit.sent(duration_ms, now)
            await self._send_audio(pack_audio(header))
        if not frame.pcm:
            return
        server_ms = (time.monotonic() - frame.came_at) * 1000
        self.meter.sent(server_ms)
        self._sent(frame, begins_ms, server_ms)
        self._moved.set()
