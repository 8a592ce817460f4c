"""A conversation core in this process, for the OpenAI-compatible adapter: real turn-taking, tones for answers.

What a live session with its inference server does, without sockets, models and rows, and as fast as virtual time
allows. It understands the native protocol by its own parser: what the adapter says is held to that, too.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import numpy as np

from apps.voice.openai_realtime.adapter import RealtimeSide
from apps.voice.protocol import (
    DIALS,
    AnswerEvent,
    AudioFrame,
    Caption,
    ConfigChanged,
    Configure,
    Endpoint,
    FrameKind,
    GenerationChanged,
    Hello,
    Interrupt,
    Key,
    Limits,
    ServerEvent,
    SessionConfig,
    Speech,
    TurnStored,
    Welcome,
    pack_audio,
    parse_audio_up,
    parse_client_message,
)
from ml.serve.wire import Listen
from ml.turn_taking import (
    Action,
    Commit,
    Observation,
    Reply,
    Resume,
    SpeechStarted,
    SpeechStopped,
    TurnDirector,
    TurnTakingConfig,
)
from ml.turn_taking import Endpoint as Ended
from ml.turn_taking import Interrupt as Interrupted

FRAME_MS, LEAD_S = 40, 0.3


class InProcessCore:
    """``answer_ms``: how long answers are; None: the model falls silent for good. ``think_s`` until they begin."""

    def __init__(self, side: RealtimeSide, *, answer_ms: int | None = 600, think_s: float = 0.01) -> None:
        self.side = side
        self.answer_ms = answer_ms
        self.think_s = think_s
        self.director = TurnDirector(TurnTakingConfig())
        self.config: dict[str, Any] = {}
        self.listening: list[Listen] = []
        self.truncated: list[tuple[int, int]] = []
        self.heard_ms = 0
        self.turn_frames: list[bytes] = []
        self.questions: list[bytes] = []
        self.generation = 0
        self._turns = 0
        self._seq = 0
        self._configured = 0.0
        """When the last change of the configuration is made: one after the other."""
        self._answer: tuple[int, int] | None = None
        """The turn whose answer is given, and how much of it was sent, ms."""
        self._answered = 0
        """The turn whose answer was begun last."""
        self._paused: tuple[int, int] | None = None
        self._audible_until = 0.0
        self._mouth: asyncio.Task[None] | None = None
        self._out: asyncio.Queue[ServerEvent] = asyncio.Queue()
        self._rows: asyncio.Queue[uuid.UUID] = asyncio.Queue()

    async def run(self) -> None:
        """Tell the adapter what happens."""
        while True:
            await self.side.tell(await self._out.get())

    # -- Session -------------------------------------------------------------------------------------------

    def receive_text(self, text: str) -> None:
        message = parse_client_message(text)
        match message:
            case Hello():
                self._apply(message)
                self._say(
                    Welcome(
                        protocol=1,
                        session=uuid.uuid4(),
                        resume_token="x",
                        resumed=False,
                        generation=0,
                        config=self._told(),
                        limits=Limits(max_ahead_ms=400, resume_seconds=60),
                        models={},
                    )
                )
            case Configure():
                self._configured = max(self._configured + 1e-6, self._now() + 0.02)
                asyncio.get_running_loop().call_at(self._configured, self._configure, message)
            case Interrupt():
                self.generation += 1
                self._say(GenerationChanged(generation=self.generation, reason="interrupt"))
                self._act(self.director.stop(self.heard_ms))
            case Key(event=event):
                self._over()
                if event == "press":
                    self.turn_frames = []
                self._act(getattr(self.director, event)(self.heard_ms))
            case _:
                pass

    def receive_bytes(self, data: bytes) -> None:
        frame = parse_audio_up(data)
        samples = np.frombuffer(frame.payload, "<i2").astype(np.float64) / 32_768
        level_db = float(10 * np.log10(np.mean(samples**2) + 1e-9))
        self.heard_ms += 20
        self.turn_frames.append(frame.payload)
        self._over()
        self._act(self.director.hear(Observation(self.heard_ms, 1.0 if level_db > -30 else 0.0, level_db)))

    def truncate(self, turn: int, heard_ms: int) -> None:
        self.truncated.append((turn, heard_ms))

    def listen(self, wish: Listen) -> None:
        self.listening.append(wish)
        self.director.config = self.director.config.replace(answers=wish.answers, interruptible=wish.interruptible)

    def reply(self) -> None:
        self._over()
        self._act(self.director.reply(self.heard_ms))

    def gone(self) -> None: ...

    # -- inside --------------------------------------------------------------------------------------------

    def _say(self, message: ServerEvent) -> None:
        self._out.put_nowait(message)

    def _told(self) -> SessionConfig:
        return SessionConfig.model_validate(self.config)

    def _apply(self, message: Hello | Configure) -> None:
        names = {"mode", "turn_taking", "speaker", "emotion", "quantizers", *DIALS}
        given = message.model_dump(include=names, exclude_none=True)
        self.config = {"speaker": None, "emotion": None, "quantizers": 8, **self.config, **given}
        bounds = (self.config.get(name) for name in ("endpoint_min_ms", "endpoint_max_ms"))
        config = TurnTakingConfig.for_mode(self.config["turn_taking"], *bounds)
        self.director.config = config.heard_as(self.director.config)

    def _configure(self, message: Configure) -> None:
        self._apply(message)
        self._say(ConfigChanged(config=self._told()))

    def _over(self) -> None:
        if self._answer is None and self.director.phase == "answer" and self._now() > self._audible_until:
            self._act(self.director.answer_ended(self.heard_ms))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SpeechStarted(at_ms):
                    self._say(Speech(event="started", at_ms=max(0, at_ms)))
                case SpeechStopped(at_ms):
                    self._say(Speech(event="stopped", at_ms=max(0, at_ms)))
                case Ended():
                    self._end(action)
                case Reply():
                    self._speak(self._turns - 1, 0, begin=True)
                case Interrupted(reason=reason):
                    self._interrupt(reason)
                case Commit():
                    self._paused = None
                case Resume() if self._paused is not None:
                    turn, sent = self._paused
                    self._event(turn, "resumed", sent)
                    self._speak(turn, sent)

    def _end(self, ended: Ended) -> None:
        turn, self._turns, self._paused = self._turns, self._turns + 1, None
        self.questions.append(b"".join(self.turn_frames))
        times = {"start_ms": max(0, ended.speech_start_ms), "end_ms": max(0, ended.speech_end_ms)}
        waited_ms = max(0, ended.decided_ms - times["end_ms"])
        self._say(Endpoint(turn=turn, **times, waited_ms=waited_ms, reason=ended.reason, answered=ended.answered))
        row = uuid.uuid4()
        same = {"id": row, "index": turn, "duration_ms": 100, "audio_url": None, "latency": {}}
        self._say(TurnStored(role="user", **same))
        asyncio.get_running_loop().call_later(0.05, self._say, Caption(turn=row, text=f"turn {turn}", known=False))
        if ended.answered == "now":
            self._speak(turn, 0, begin=True)

    def _speak(self, turn: int, from_ms: int, *, begin: bool = False) -> None:
        self._answered, self._answer = turn, (turn, from_ms)
        self._mouth = asyncio.get_running_loop().create_task(self._talk(turn, from_ms, begin))

    async def _talk(self, turn: int, from_ms: int, begin: bool) -> None:
        await asyncio.sleep(self.think_s)
        if self.answer_ms is None:
            await asyncio.Event().wait()
            return
        if begin:
            self._event(turn, "started", 0)
        began, generation = self._now(), self.generation
        tone = (np.sin(np.arange(FRAME_MS * 16) * 0.2) * 8_000).astype("<i2").tobytes()
        for at_ms in range(from_ms, self.answer_ms, FRAME_MS):
            await asyncio.sleep(max(0.0, began + (at_ms - from_ms) / 1000 - LEAD_S - self._now()))
            head = AudioFrame(FrameKind.AUDIO_DOWN, self._seq, at_ms, generation, tone)
            self._seq += 1
            self._answer = (turn, at_ms + FRAME_MS)
            await self.side.send_audio(pack_audio(head))
        self._audible_until = began + (self.answer_ms - from_ms) / 1000
        self._answer = None
        self._event(turn, "ended", self.answer_ms)

    def _interrupt(self, reason: str) -> None:
        answer, self._answer = self._answer, None
        if self._mouth is not None:
            self._mouth.cancel()
        self._paused = answer if reason == "barge_in" else None
        if reason != "client":
            self.generation += 1
            self._say(GenerationChanged(generation=self.generation, reason="barge_in"))
        self._event(self._answered, "interrupted", 0 if answer is None else answer[1], reason)

    def _event(self, turn: int, event: Any, at_ms: int, reason: str = "") -> None:
        self._say(AnswerEvent(turn=turn, event=event, generation=self.generation, at_ms=at_ms, reason=reason))
