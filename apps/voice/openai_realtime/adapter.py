"""Between a client of the OpenAI protocol and a :class:`LiveSession`: translates, and keeps the protocol's promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from apps.voice.native import FEED_S, Session
from apps.voice.openai_realtime.answers import Answers
from apps.voice.openai_realtime.clock import now
from apps.voice.openai_realtime.commands import Commands
from apps.voice.openai_realtime.connection import Connection
from apps.voice.openai_realtime.endings import Captioner, Endings
from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.idle import Idle
from apps.voice.openai_realtime.outbox import Outbox
from apps.voice.openai_realtime.playback import Playback
from apps.voice.openai_realtime.session import SessionConfig, SessionPatch
from apps.voice.protocol import (
    BYTES_PER_MS,
    AnswerEvent,
    Caption,
    ConfigChanged,
    Endpoint,
    ErrorCode,
    ErrorEvent,
    GenerationChanged,
    ServerEvent,
    Speech,
    TurnStored,
    Welcome,
    parse_audio_down,
)

TICK_S = 0.05


class RealtimeSide:
    """The session's :class:`Peer`, and the client's ear. Give it a session by :meth:`begin` before anything else."""

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        config: SessionConfig,
        *,
        caption: Captioner | None,
    ) -> None:
        self.ready = asyncio.Event()
        """The session is there: from now on the client is heard."""
        self._config = config
        self._out = Outbox(send)
        self._it = Connection(config, self._out)
        self._endings = Endings(self._it, caption)
        self._commands = Commands(self._it, self._endings)
        self._answers = Answers(self._it, self._endings)
        self._playback = Playback()
        self._idle = Idle(self._it)

    def begin(self, session: Session, name: str, first: SessionPatch | None = None) -> None:
        """Greet the session. ``first``: what the client's key brought."""
        self._it.core.attach(session)
        if first is not None:
            self._config.update(first)
            self._it.input.change_format(self._config.input_format)
        self._it.tuning.greet(name)

    # -- from the client: never waits ----------------------------------------------------------------------

    def hear(self, text: str) -> None:
        """A message of the client; whatever is wrong with it is answered by an ``error`` event."""
        self._commands.hear(text)

    def refuse(self, error: RealtimeError) -> None:
        """Say what was wrong."""
        self._out.refuse(error)

    def hung_up(self) -> None:
        """The client is gone: nothing is sent any more."""
        self._out.open = False

    # -- pumps ---------------------------------------------------------------------------------------------

    async def speak(self) -> None:
        """Events to the client, in order."""
        await self._out.pump()

    async def feed(self) -> None:
        """Audio to the session; of a manual turn none while an answer is given, which it would stop."""
        await self.ready.wait()
        it = self._it
        while True:
            entry = await it.input.head()
            if not isinstance(entry, bytes):
                it.input.pop()
                entry.do(entry.mark)
                continue
            await it.tuning.in_force()
            if self._config.manual:
                await it.responses.unasked()
            if it.input.first is not entry:
                continue  # taken back meanwhile
            it.input.pop()
            if self._config.manual:
                it.core.press()
            it.core.frame(entry)
            await asyncio.sleep(FEED_S)

    async def watch(self) -> None:
        """What was sent counts as played in real time; a response that nothing comes of any more is ended, and who says
        nothing any more may be spoken to."""
        while True:
            await asyncio.sleep(TICK_S)
            if (played := self._playback.news(now())) is not None:
                self._it.core.played(self._it.core.generation, played)
            if (active := self._it.responses.active) is not None:
                self._endings.overdue(active)
            self._idle.watch(played=self._playback.over(now()))

    # -- Peer: from the session ----------------------------------------------------------------------------

    async def tell(self, message: ServerEvent) -> None:
        """An event of the session, in the protocol's words."""
        match message:
            case Welcome():
                self._it.core.generation = message.generation
                self._out.emit("session.created", session=self._config.effective)
                self._it.tuning.begun()
                self.ready.set()
            case GenerationChanged():
                self._it.core.generation = message.generation
                self._playback = Playback()
            case ConfigChanged():
                self._it.tuning.answered(message.config)
            case Speech():
                self._answers.speech(message)
            case Endpoint():
                self._answers.endpoint(message)
            case AnswerEvent():
                self._answers.answer(message)
            case TurnStored(role="user"):
                self._it.turns.stored(message.id)
            case Caption():
                item_id = self._it.turns.captioned(message.turn)
                if item_id is not None and self._config.transcribes:
                    self._it.conversation.transcribed(item_id, message.text)
            case ErrorEvent():
                self._it.tuning.answered(None)
                await self._error(message)
            case _:
                pass

    async def send_audio(self, frame: bytes) -> None:
        """Some of the answer."""
        down = parse_audio_down(frame)
        active = self._it.responses.active
        if down.generation != self._it.core.generation or active is None or active.turn is None:
            return
        self._playback.sent(len(down.payload) // BYTES_PER_MS, now())
        self._it.responses.audio(down.payload)
        self._endings.sent(active)

    async def _error(self, error: ErrorEvent) -> None:
        words = f"{error.message}; {error.hint}" if error.hint else error.message
        busy = error.fatal or not self.ready.is_set()
        self.refuse(RealtimeError(words, code=error.code, kind="server_error" if busy else "invalid_request_error"))
        if not error.fatal and not self.ready.is_set():
            # The session could not begin; the native protocol would wait for another greeting.
            await self.close(ErrorCode.BUSY.close_code)
            self._it.core.gone()

    async def close(self, code: int) -> None:
        """The session is over."""
        if self._out.open:
            if self._it.responses.active is not None:
                self._endings.cut("failed", "session_closed", "the session ended")
            await self._out.close(code)
