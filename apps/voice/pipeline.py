"""Mode ``reconstruct``: every microphone frame is answered by one, one's own voice through the codec."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from apps.voice.flow import Down, Flow, Up
from apps.voice.inference_client import AudioDown, Draining, Speech
from apps.voice.protocol import Notice, Played
from apps.voice.protocol import Speech as SpeechEvent
from apps.voice.turns import TurnAssembler, TurnCut

DOWN_FRAMES = 25
"""Audio that waits for credit: half a second; beyond it delay would only grow."""


class Pipeline(Flow):
    """``Down.about`` is the index of the microphone frame."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, down_frames=DOWN_FRAMES)
        self._unanswered: deque[tuple[int, float]] = deque()
        """(index, when it came) of frames that the inference server has not answered."""
        self._assembler = TurnAssembler()

    def played(self, message: Played) -> None:
        super().played(message)
        self._assembler.playback(message.buffered_ms)

    def round_trip(self, rtt_ms: float) -> None:
        self._assembler.network(rtt_ms)

    def interrupt(self) -> int:
        generation = super().interrupt()
        for index, _ in self._unanswered:
            self._give_up(index)
        # What the inference server holds of the old generation it drops without a word.
        self._unanswered.clear()
        self._up.clear()
        self._assembler.interrupted()
        return generation

    async def pump_in(self) -> None:
        while True:
            match await self.link.receive():
                case AudioDown() as down:
                    self._answered(down)
                case Speech() as speech:
                    self._assembler.speech(speech.event, speech.at_ms)
                    self._say(SpeechEvent(event=speech.event, at_ms=speech.at_ms))
                case Draining():
                    self._say(Notice(code="inference_draining", message="the inference server restarts"))
                case _:
                    pass

    async def settled(self) -> None:
        while self._unanswered or self._down:
            self._moved.clear()
            await self._moved.wait()

    def turns(self) -> list[TurnCut]:
        return self._assembler.take()

    def last_turns(self) -> list[TurnCut]:
        return self._assembler.flush()

    # -- inside --------------------------------------------------------------------------------------------

    def _heard(self, index: int, pcm: bytes) -> None:
        self._assembler.heard(index, pcm)
        self._unanswered.append((index, time.monotonic()))

    def _never_asked(self, frame: Up) -> None:
        """A frame that did not reach the inference server: nobody waits for its answer."""
        self._give_up(frame.index)
        self._unanswered = deque(item for item in self._unanswered if item[0] != frame.index)

    def _given_up(self, frame: Down) -> None:
        self._give_up(frame.about)

    def _unanswered_s(self) -> float:
        return time.monotonic() - self._unanswered[0][1] if self._unanswered else 0.0

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
        self._coded(down)
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
        if (dropped := self._down.put(Down(down.generation, down.pcm, came_at, down.seq))) is not None:
            self._give_up(dropped.about)

    def _sent(self, frame: Down, at_ms: int, server_ms: float) -> None:
        self._assembler.sent(frame.about, frame.pcm, server_ms)

    def _give_up(self, index: int) -> None:
        self.meter.dropped += 1
        self._assembler.given_up(index)
        self._moved.set()
