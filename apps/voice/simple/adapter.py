"""Between a simple client and a :class:`LiveSession`: says natively what the client says simply, and back.

The session wants 20 ms frames at about the speed of a microphone and reports of what was played; the client sends
what it has and plays what it gets. So audio waits here and is fed at twice real time, and what was sent counts as
played at once: a peer that does not read is not read from (see :mod:`voiceplatform.backpressure`), so that what waits
for it stays bounded by what it has said.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer

from apps.voice.native import FEED_S, SILENCE, TAIL_FRAMES, Framer, NativeClient, Session
from apps.voice.protocol import (
    BYTES_PER_MS,
    FRAME_MS,
    AnswerEvent,
    Busy,
    ConfigChanged,
    ErrorCode,
    ErrorEvent,
    GenerationChanged,
    Notice,
    Pong,
    ProtocolFault,
    ServerEvent,
    Speech,
    Stats,
    TurnStored,
    Welcome,
    parse_audio_down,
)
from apps.voice.simple.messages import Audio, Config, End, Format, Interrupt, SimpleMessage, encode

WAITING_MS = 30_000
"""Audio of a client that may wait to be fed."""
ECHO_AHEAD_MS = 200
"""When the session echoes every frame, no more than that may be unanswered: a busy machine then slows the feeding
instead of dropping frames."""
ECHO_PATIENCE_S = 0.5
REPORT_S = 0.05
PIECE_MS = 200
"""An answer leaves in pieces of that length, its first frame at once."""
SETTLE_S = 0.25
"""With nothing fed and nothing coming back for so long, an echoed stretch is complete."""

_signer = Signer(salt="voice.simple.config")


def config_key(session_id: UUID) -> str:
    """What lets the holder configure this session by ``POST /config`` without a login."""
    return _signer.sign(str(session_id))


def session_of_key(key: str) -> UUID | None:
    """The session that a key is for; None: it is none of ours."""
    try:
        return UUID(_signer.unsign(key))
    except (BadSignature, ValueError):
        return None


@dataclass(slots=True)
class _Answer:
    """What is being said back."""

    form: Format = "float32"
    stream: bool = True
    pcm: bytearray = field(default_factory=bytearray)
    pieces: int = 0
    asked_at: float = 0.0
    latency_ms: float | None = None
    last_at: float = 0.0


class SimpleSide:
    """The session's :class:`Peer`, and the client's ear. Give it a session before anything else."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self.open = True
        self._core = NativeClient()
        self._pending: deque[bytes | None] = deque()
        """Frames to feed; None ends a stretch."""
        self._framer = Framer()
        self._more = asyncio.Event()
        self._owed_ms = 0
        self._came = asyncio.Event()
        self._ready = asyncio.Event()
        self._wishes: dict[str, Any] = {}
        """Configuration that came before the session was there."""
        self._mode = "talk"
        self._turn_taking = "push"
        self._breakdown: dict[str, float] = {}
        self._answer = _Answer()
        self._played: tuple[int, int] = (0, 0)
        self._reported: tuple[int, int] = (0, 0)

    def begin(self, session: Session) -> None:
        """Greet. A platform without a speech-to-speech model says so, and gets a second, humbler greeting."""
        self._core.attach(session)
        self._hello("talk")

    # -- from the client: never waits ----------------------------------------------------------------------

    def hear(self, message: SimpleMessage) -> None:
        """A message of the client. Raises :class:`ProtocolFault`."""
        if isinstance(message, Audio):
            self._hear_audio(message)
        elif isinstance(message, Config):
            self._configure(message.config.wishes())
        elif isinstance(message, Interrupt):
            self._pending.clear()
            self._core.say(type="interrupt")
        elif isinstance(message, End):
            self._core.say(type="end")
        else:
            self._core.say(type="ping", id=0, t=0.0)

    def _hear_audio(self, message: Audio) -> None:
        pcm = message.pcm16()
        if len(self._pending) * FRAME_MS + (self._framer.waiting_bytes + len(pcm)) / BYTES_PER_MS > WAITING_MS:
            hint = "wait for the answer, or send at most as fast as you speak"
            raise ProtocolFault(ErrorCode.OVERSIZE, f"audio: more than {WAITING_MS // 1000} s wait", hint)
        self._configure(message.config.wishes())
        self._answer.form, self._answer.stream = message.format, message.stream
        self._answer.asked_at, self._answer.latency_ms = time.monotonic(), None
        self._pending.extend(self._framer.cut(pcm))
        if message.end:
            self._pending.extend([*self._framer.flush(), *[SILENCE] * TAIL_FRAMES, None])
        self._more.set()

    def _configure(self, wishes: dict[str, Any]) -> None:
        if wishes and self._ready.is_set():
            self._core.say(type="config", **wishes)
        else:
            self._wishes |= wishes

    def _hello(self, mode: str) -> None:
        self._mode = mode
        self._core.say(type="hello", protocol=1, mode=mode, turn_taking="push", client="simple protocol")

    # -- pumps ---------------------------------------------------------------------------------------------

    async def feed(self) -> None:
        """Frames to the session, at twice the speed of a microphone."""
        await self._ready.wait()
        while True:
            self._more.clear()
            while self._pending:
                frame = self._pending.popleft()
                if frame is None:
                    self._core.release("release")
                    continue
                if self._mode == "talk" and self._turn_taking == "push":
                    self._core.press()
                self._core.frame(frame)
                await asyncio.sleep(FEED_S)
                await self._in_step()
            await self._more.wait()

    async def _in_step(self) -> None:
        if self._mode != "reconstruct":
            self._owed_ms = 0
            return
        self._owed_ms += FRAME_MS
        while self._owed_ms > ECHO_AHEAD_MS:
            self._came.clear()
            try:
                async with asyncio.timeout(ECHO_PATIENCE_S):
                    await self._came.wait()
            except TimeoutError:
                self._owed_ms = 0  # dropped on the way, or stale

    async def report(self) -> None:
        """What was sent counts as played; an echo that has ended is said to be complete."""
        while True:
            await asyncio.sleep(REPORT_S)
            if self._played != self._reported:
                self._reported = self._played
                self._core.played(*self._played)
            settled = self._answer.last_at and time.monotonic() - self._answer.last_at > SETTLE_S
            if self._mode == "reconstruct" and settled and not self._pending:
                await self._flush(final=True)

    # -- Peer: from the session ----------------------------------------------------------------------------

    async def tell(self, message: ServerEvent) -> None:
        """An event of the session, in simple words."""
        match message:
            case Welcome():
                self._core.generation = message.generation
                self._follow(message.config.mode, message.config.turn_taking)
                await self._say(
                    type="ready",
                    session=str(message.session),
                    key=config_key(message.session),
                    sample_rate=message.limits.sample_rate,
                    config=message.config.model_dump(),
                    models=message.models,
                )
                self._ready.set()
                self._configure(self._wishes)
            case ConfigChanged():
                self._follow(message.config.mode, message.config.turn_taking)
                await self._say(type="config", config=message.config.model_dump())
            case GenerationChanged():
                self._core.generation = message.generation
                self._answer.pcm.clear()
                self._answer.pieces, self._answer.last_at = 0, 0.0
                if message.reason in ("interrupt", "barge_in"):
                    await self._say(type="interrupted", generation=message.generation)
            case AnswerEvent():
                self._breakdown = dict(message.latency) or self._breakdown
                if message.event in ("ended", "interrupted"):
                    await self._flush(final=True)
            case Stats():
                names = ("queue_ms", "encode_ms", "decode_ms", "server_ms")
                if self._mode == "reconstruct":
                    self._breakdown = {name: getattr(message, name) for name in names}
            case ErrorEvent():
                await self._error(message)
            case Speech() | TurnStored() | Busy() | Notice():
                await self._say(**message.model_dump(mode="json"))
            case Pong():
                await self._say(type="pong")

    def _follow(self, mode: str, turn_taking: str) -> None:
        self._mode, self._turn_taking = mode, turn_taking

    async def _error(self, error: ErrorEvent) -> None:
        if not self._ready.is_set() and self._mode == "talk" and not error.fatal:
            self._hello("reconstruct")
            return
        await self.refuse(ProtocolFault(error.code, error.message, error.hint), fatal=error.fatal)

    async def refuse(self, fault: ProtocolFault, *, fatal: bool = False) -> None:
        """Say what was wrong."""
        await self._say(type="error", code=fault.code, message=fault.message, hint=fault.hint, fatal=fatal)

    async def send_audio(self, frame: bytes) -> None:
        """20 ms or so of the answer."""
        down = parse_audio_down(frame)
        generation, played = self._played
        length_ms = len(down.payload) // BYTES_PER_MS
        self._played = (down.generation, length_ms + (played if generation == down.generation else 0))
        self._owed_ms = max(0, self._owed_ms - length_ms)
        self._came.set()
        answer = self._answer
        answer.last_at = time.monotonic()
        answer.pcm += down.payload
        if answer.stream and (not answer.pieces or len(answer.pcm) >= PIECE_MS * BYTES_PER_MS):
            await self._flush(final=False)

    async def _flush(self, *, final: bool) -> None:
        answer = self._answer
        if not answer.pcm and not (final and answer.pieces):
            return
        if answer.latency_ms is None:
            answer.latency_ms = round((time.monotonic() - answer.asked_at) * 1000, 1) if answer.asked_at else 0.0
        piece, answer.pcm = bytes(answer.pcm), bytearray()
        answer.pieces = 0 if final else answer.pieces + 1
        if final:
            answer.last_at = 0.0
        await self._say(
            type="audio",
            audio=encode(piece, answer.form),
            format=answer.form,
            sample_rate=16_000,
            final=final,
            latency_ms=answer.latency_ms,
            breakdown=self._breakdown,
        )

    async def _say(self, **message: Any) -> None:
        if self.open:
            await self._send({"type": "websocket.send", "text": json.dumps(message)})

    async def close(self, code: int) -> None:
        """The session is over."""
        if self.open:
            self.open = False
            await self._send({"type": "websocket.close", "code": code})
