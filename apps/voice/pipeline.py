"""The frame path of one live session: microphone -> inference server -> loudspeaker, without a database call::

    accept -> [up] -> pump_up -> inference -> pump_in -> [down] -> pump_down (credit) -> client

Both mailboxes are bounded and drop their oldest; every frame carries its generation and is dropped once that is stale.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apps.voice.credit import CreditWindow
from apps.voice.inference_client import AudioDown, Draining, InferenceLink, InferenceLost, Pong, Speech
from apps.voice.mailbox import DropOldest
from apps.voice.meter import Meter
from apps.voice.protocol import (
    BYTES_PER_MS,
    FRAME_MS,
    U32_MAX,
    AudioFrame,
    FrameKind,
    Notice,
    Played,
    ServerEvent,
    Stats,
    pack_audio,
)
from apps.voice.protocol import Speech as SpeechEvent
from apps.voice.turns import TurnAssembler, TurnCut

UP_FRAMES = 50
"""Microphone audio that waits for the inference server: a second, as after a stall of the network."""
DOWN_FRAMES = 25
"""Audio that waits for credit: half a second; beyond it delay would only grow."""
STALL_S = 5.0
"""An inference server that says nothing, or answers no frame, for this long is lost."""

SendAudio = Callable[[bytes], Awaitable[None]]
Say = Callable[[ServerEvent], None]


@dataclass(frozen=True, slots=True)
class _Up:
    index: int
    generation: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class _Down:
    index: int
    generation: int
    pcm: bytes
    came_at: float


class Pipeline:
    """Owns the audio of a connection. ``index`` counts accepted frames from 0: the media clock, 20 ms each."""

    def __init__(
        self,
        *,
        link: InferenceLink,
        send_audio: SendAudio,
        say: Say,
        generation: int,
        quantizers: int,
        max_ahead_ms: int,
    ) -> None:
        self._link = link
        self._send_audio = send_audio
        self._say = say
        self.generation = generation
        self._quantizers = quantizers
        self._up: DropOldest[_Up] = DropOldest(UP_FRAMES)
        self._down: DropOldest[_Down] = DropOldest(DOWN_FRAMES)
        self._accepted = 0
        self._down_seq = 0
        self._unanswered: deque[tuple[int, float]] = deque()
        """(index, when it came) of frames that the inference server has not answered."""
        self._wishes: DropOldest[tuple[int | None, int | None]] = DropOldest(64)
        self._credit = CreditWindow(max_ahead_ms=max_ahead_ms)
        self._credit.restart(generation)
        self._credit_moved = asyncio.Event()
        self._moved = asyncio.Event()
        self._assembler = TurnAssembler()
        self.meter = Meter()

    # -- from the client: never waits ----------------------------------------------------------------------

    def accept(self, pcm: bytes) -> None:
        """A microphone frame. The client's own numbers and clock end here: the server hears a contiguous count."""
        index = self._accepted
        self._accepted += 1
        self._assembler.heard(index, pcm)
        self._unanswered.append((index, time.monotonic()))
        if (dropped := self._up.put(_Up(index, self.generation, pcm))) is not None:
            self._never_asked(dropped.index)

    def played(self, message: Played) -> None:
        """The client's report of what it has played."""
        self._credit.report(message.generation, message.played_ms, time.monotonic())
        self._assembler.playback(message.buffered_ms)
        self._credit_moved.set()

    def round_trip(self, rtt_ms: float) -> None:
        """The client's measurement of the network."""
        self._assembler.network(rtt_ms)

    def interrupt(self) -> int:
        """Raise the generation: what is on its way is stale. Returns the new one."""
        self.generation = min(self.generation + 1, U32_MAX)
        for index in [item.index for item in self._down.clear()] + [index for index, _ in self._unanswered]:
            self._give_up(index)
        # What the inference server holds of the old generation it drops without a word.
        self._unanswered.clear()
        self._up.clear()
        self._credit.restart(self.generation)
        self._credit_moved.set()
        self._assembler.interrupted()
        self._wishes.put((None, self.generation))
        return self.generation

    def set_quantizers(self, quantizers: int) -> None:
        """Decode with that many levels from the next frame on."""
        if quantizers != self._quantizers:
            self._quantizers = quantizers
            self._wishes.put((quantizers, None))

    # -- the pumps -----------------------------------------------------------------------------------------

    async def pump_up(self) -> None:
        """Microphone frames to the inference server. Raises :class:`InferenceLost`."""
        while True:
            frame = await self._up.get()
            await self._link.send_audio(frame.index, frame.index * FRAME_MS & U32_MAX, frame.generation, frame.pcm)

    async def pump_wishes(self) -> None:
        """Changes of quantizers and generation to the inference server. Raises :class:`InferenceLost`."""
        while True:
            quantizers, generation = await self._wishes.get()
            await self._link.set(quantizers=quantizers, generation=generation)

    async def pump_in(self) -> None:
        """What the inference server says. Raises :class:`InferenceLost`."""
        while True:
            match await self._link.receive():
                case AudioDown() as down:
                    self._answered(down)
                case Speech() as speech:
                    self._assembler.speech(speech.event, speech.at_ms)
                    self._say(SpeechEvent(event=speech.event, at_ms=speech.at_ms))
                case Draining():
                    self._say(Notice(code="inference_draining", message="the inference server restarts"))
                case Pong():
                    pass

    async def pump_down(self) -> None:
        """Audio to the client, as fast as its credit allows."""
        while True:
            frame = await self._down.peek()
            if frame.generation < self.generation:
                self._down.pop()
                self._give_up(frame.index)
                continue
            now = time.monotonic()
            duration_ms = len(frame.pcm) // BYTES_PER_MS
            wait_s = self._credit.wait_s(duration_ms, now)
            if wait_s == 0.0:
                self._down.pop()
                await self._send(frame, duration_ms, now)
                continue
            self._credit_moved.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._credit_moved.wait()
            except TimeoutError:
                pass

    async def keep_alive(self, number: int) -> None:
        """Ask the inference server for a sign of life, and judge the ones it gave. Raises :class:`InferenceLost`."""
        now = time.monotonic()
        oldest = self._unanswered[0][1] if self._unanswered else now
        if self._link.silent_s() > STALL_S or now - oldest > STALL_S:
            raise InferenceLost(f"{self._link.address} has not answered for {STALL_S:.0f} s")
        await self._link.ping(number)

    # -- what is known -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until every accepted frame has been answered and sent, or given up."""
        while self._unanswered or self._down:
            self._moved.clear()
            await self._moved.wait()

    def too_slow(self) -> bool:
        """The client owes reports for too long."""
        return self._credit.overdue(time.monotonic())

    def stats(self, elapsed_s: float) -> Stats:
        """The figures since the last call."""
        ahead_ms = self._credit.ahead_ms(time.monotonic())
        return self.meter.second(elapsed_s, quantizers=self._quantizers, ahead_ms=ahead_ms)

    def turns(self) -> list[TurnCut]:
        """Turns that became complete."""
        return self._assembler.take()

    def last_turns(self) -> list[TurnCut]:
        """The connection ends: all there is."""
        return self._assembler.flush()

    # -- inside --------------------------------------------------------------------------------------------

    def _answered(self, down: AudioDown) -> None:
        came_at = None
        # Answers come in order: whatever is older than this one was dropped by the inference server.
        while self._unanswered and self._unanswered[0][0] <= down.seq:
            index, at = self._unanswered.popleft()
            if index == down.seq:
                came_at = at
            else:
                self._give_up(index)
        if came_at is None:
            return
        self.meter.coded(down)
        self._assembler.coded(
            down.seq,
            down.codes,
            queue_ms=down.queue_us / 1000,
            encode_ms=down.encode_us / 1000,
            decode_ms=down.decode_us / 1000,
        )
        if down.generation < self.generation or not down.pcm:
            self._give_up(down.seq)
            return
        if (dropped := self._down.put(_Down(down.seq, down.generation, down.pcm, came_at))) is not None:
            self._give_up(dropped.index)

    async def _send(self, frame: _Down, duration_ms: int, now: float) -> None:
        header = AudioFrame(FrameKind.AUDIO_DOWN, self._down_seq, self._credit.sent_ms, frame.generation, frame.pcm)
        self._down_seq += 1
        self._credit.sent(duration_ms, now)
        await self._send_audio(pack_audio(header))
        server_ms = (time.monotonic() - frame.came_at) * 1000
        self.meter.sent(server_ms)
        self._assembler.sent(frame.index, frame.pcm, server_ms)
        self._moved.set()

    def _give_up(self, index: int) -> None:
        self.meter.dropped += 1
        self._assembler.given_up(index)
        self._moved.set()

    def _never_asked(self, index: int) -> None:
        """A frame that did not reach the inference server: nobody waits for its answer."""
        self._give_up(index)
        self._unanswered = deque(item for item in self._unanswered if item[0] != index)
