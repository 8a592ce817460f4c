"""One live session: from hello to close, and every reason to stop in between.

The consumer hands in what arrives (synchronously: it never waits here); this answers through :class:`Peer`. Audio is
:mod:`apps.voice.pipeline`'s, the lease and configuration :mod:`apps.voice.housekeeping`'s, turn rows
:mod:`apps.voice.writer`'s. The first reason to stop becomes the :class:`Ending`; later ones no longer matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils import timezone

from apps.voice.greeting import Greeted, Person, greet
from apps.voice.housekeeping import Housekeeping
from apps.voice.inference_client import InferenceBusy, InferenceLost
from apps.voice.mailbox import DropOldest, RateLimit
from apps.voice.pipeline import Pipeline
from apps.voice.protocol import (
    CLOSE_NORMAL,
    HELLO_TIMEOUT_S,
    MAX_OFFENCES,
    Busy,
    ConfigChanged,
    Configure,
    End,
    ErrorCode,
    ErrorEvent,
    GenerationChanged,
    Hello,
    Interrupt,
    Notice,
    Ping,
    Played,
    Pong,
    ProtocolFault,
    ServerEvent,
    SessionConfig,
    parse_audio_up,
    parse_client_message,
)
from apps.voice.services import session_end, session_suspend
from apps.voice.writer import TurnWriter
from voiceplatform import drain

logger = logging.getLogger(__name__)

OUT_MESSAGES = 128
MESSAGES_PER_S = 50
TICK_S = 0.25
STATS_TICKS = 4
PING_TICKS = 8
IDLE_GRACE_S = 0.5
"""After ``end``: how long frames on their way may still come back."""
STORE_GRACE_S = 1.5
"""How long the close waits for the last turns and the row; where that takes longer it goes on after the close."""
END_GRACE_S = 5.0
"""The same after ``end``, whose client waits for its last ``turn``."""


class Peer(Protocol):
    """The sending half of the socket; all are silent once it is closed."""

    async def tell(self, message: ServerEvent) -> None: ...

    async def send_audio(self, frame: bytes) -> None: ...

    async def close(self, code: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection stops: the client left (``gone``) or said ``end``, we close it for a ``fault``, or a ``bug``."""

    kind: Literal["gone", "end", "fault", "bug"]
    fault: ProtocolFault | None = None


class LiveSession:
    """One connection. Everything here runs on the event loop."""

    def __init__(self, peer: Peer, person: Person) -> None:
        self._peer = peer
        self._person = person
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._phase: Literal["hello", "greeting", "live"] = "hello"
        self._hello: asyncio.Queue[Hello] = asyncio.Queue(1)
        self._out: DropOldest[ServerEvent] = DropOldest(OUT_MESSAGES)
        self._rate = RateLimit(per_s=MESSAGES_PER_S, burst=2 * MESSAGES_PER_S)
        self._offences = 0
        self._last_seq = -1
        self._lost = 0
        self._greeted: Greeted | None = None
        self._pipeline: Pipeline | None = None
        self._chores: Housekeeping | None = None
        self._writer: TurnWriter | None = None
        self._storing: asyncio.Task[None] | None = None

    # -- what the consumer hands in: never waits -----------------------------------------------------------

    def receive_text(self, text: str) -> None:
        """A text frame came."""
        if self._ending.done():
            return
        try:
            if not self._rate.take():
                raise ProtocolFault(
                    ErrorCode.BAD_MESSAGE, f"type: more than {MESSAGES_PER_S} messages a second", "send fewer"
                )
            self._on_message(parse_client_message(text))
        except ProtocolFault as fault:
            self._offend(fault)

    def receive_bytes(self, data: bytes) -> None:
        """A binary frame came."""
        if self._ending.done():
            return
        try:
            frame = parse_audio_up(data)
            if self._phase == "hello":
                raise ProtocolFault(ErrorCode.HELLO_FIRST, "audio came before hello", "send hello first")
            if frame.seq <= self._last_seq:
                raise ProtocolFault(
                    ErrorCode.OUT_OF_ORDER, f"seq {frame.seq} after {self._last_seq}", "count frames upwards from 0"
                )
        except ProtocolFault as fault:
            self._offend(fault)
            return
        self._lost += frame.seq - self._last_seq - 1
        self._last_seq = frame.seq
        if self._pipeline is not None:  # before the welcome there is nobody to hear it
            self._pipeline.accept(frame.payload)

    def gone(self) -> None:
        """The socket closed."""
        self._finish(Ending("gone"))

    def _on_message(self, message: Hello | Configure | Played | Interrupt | Ping | End) -> None:
        if isinstance(message, Hello):
            if self._phase != "hello":
                raise ProtocolFault(ErrorCode.BAD_MESSAGE, "type: hello was sent already", "send config to change")
            self._phase = "greeting"
            self._hello.put_nowait(message)
            return
        if self._phase == "hello":
            raise ProtocolFault(ErrorCode.HELLO_FIRST, f"{message.type} came before hello", "send hello first")
        if isinstance(message, End):
            self._finish(Ending("end"))
        elif isinstance(message, Ping):
            self._out.put(Pong(id=message.id, t=message.t))
            if self._pipeline is not None and message.rtt_ms is not None:
                self._pipeline.round_trip(message.rtt_ms)
        elif self._pipeline is None or self._chores is None:
            raise ProtocolFault(ErrorCode.BAD_MESSAGE, f"type: {message.type} came before welcome", "wait for welcome")
        elif isinstance(message, Played):
            self._pipeline.played(message)
        elif isinstance(message, Interrupt):
            self._out.put(GenerationChanged(generation=self._pipeline.interrupt(), reason="interrupt"))
        else:
            self._chores.configure(message)

    def _offend(self, fault: ProtocolFault) -> None:
        """Count an offence and say so; the fifth, or one that is no mere offence, is the end."""
        self._offences += not fault.code.immediate
        if fault.code.immediate or self._offences >= MAX_OFFENCES:
            self._finish(Ending("fault", fault))
        else:
            self._out.put(_error(fault, fatal=False))

    def _finish(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    def _refuse(self, fault: ProtocolFault) -> None:
        self._finish(Ending("fault", fault))

    # -- the life of the connection ------------------------------------------------------------------------

    async def run(self) -> None:
        """From hello to close. Returns once everything is stored.

        Raises:
            RuntimeError: a bug, logged; the server closes with 1011 when it leaves the application.
        """
        unregister = drain.register(self._go_away)
        out = asyncio.create_task(self._pump_out())
        try:
            if drain.is_draining():
                self._refuse(_going_away())
            try:
                await self._live()
            except Exception:
                logger.exception("a live session failed")
                self._finish(Ending("bug"))
            out.cancel()
            await self._shut_down(self._ending.result())
        finally:
            out.cancel()
            unregister()
            self._closed.set()
        if self._ending.result().kind == "bug":
            raise RuntimeError("a live session failed (see the log)")

    async def _live(self) -> None:
        greeting = asyncio.create_task(self._greet())
        self._ending.add_done_callback(lambda _: greeting.cancel())
        await asyncio.wait({greeting})
        self._greeted = None if greeting.cancelled() else greeting.result()
        if self._greeted is None:
            return
        pumps = await self._start(self._greeted)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pump) for pump in pumps]
                await self._until_ending()
                for task in tasks:
                    task.cancel()
        except* InferenceLost as lost:
            logger.warning("session %s: %s", self._greeted.session.pk, lost.exceptions[0])
            hint = "reconnect with the resume token"
            self._refuse(ProtocolFault(ErrorCode.INFERENCE_LOST, "the inference server went away", hint))

    async def _greet(self) -> Greeted | None:
        deadline = asyncio.get_running_loop().time() + HELLO_TIMEOUT_S
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    hello = await self._hello.get()
            except TimeoutError:
                words = f"no hello within {HELLO_TIMEOUT_S:.0f} s"
                self._refuse(ProtocolFault(ErrorCode.HELLO_TIMEOUT, words, "send hello at once"))
                return None
            try:
                return await greet(hello, self._person)
            except InferenceBusy as busy:
                await self._peer.tell(Busy(retry_after_s=busy.retry_after_s))
                self._refuse(ProtocolFault(ErrorCode.BUSY, str(busy), "try again later"))
                return None
            except ProtocolFault as fault:
                self._phase = "hello"
                self._offend(fault)
                if self._ending.done():
                    return None

    async def _start(self, greeted: Greeted) -> list[Coroutine[Any, Any, None]]:
        """Say welcome; returns the pumps that make the session live."""
        session = greeted.session
        welcome = greeted.welcome()
        self._pipeline = Pipeline(
            link=greeted.link,
            send_audio=self._peer.send_audio,
            say=self._say,
            generation=session.generation,
            quantizers=session.quantizers,
            max_ahead_ms=settings.VOICE_MAX_AHEAD_MS,
        )
        self._writer = TurnWriter(
            session_id=session.pk,
            offset_ms=max(0, round((timezone.now() - session.created_at).total_seconds() * 1000)),
            models=welcome.models,
            tell=self._peer.tell,
        )
        self._storing = asyncio.create_task(self._writer.run())
        self._chores = Housekeeping(
            session=session,
            token=greeted.opened.resume_token,
            person=greeted.person,
            generation=lambda: self._pipeline.generation if self._pipeline else session.generation,
            apply=self._apply,
            offend=self._offend,
            refuse=self._refuse,
        )
        await self._peer.tell(welcome)
        self._phase = "live"
        await self._chores.subscribe()
        return [
            self._pipeline.pump_up(),
            self._pipeline.pump_wishes(),
            self._pipeline.pump_in(),
            self._pipeline.pump_down(),
            self._watch(self._pipeline, self._writer),
            self._chores.run(),
            self._chores.listen(),
        ]

    async def _until_ending(self) -> None:
        ending = await asyncio.shield(self._ending)
        if self._chores is not None:
            self._chores.stop()
        if ending.kind == "end" and self._pipeline is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_GRACE_S):
                    await self._pipeline.settled()

    async def _watch(self, pipeline: Pipeline, writer: TurnWriter) -> None:
        """Four times a second: finished turns, a client that is too slow, a server that is silent; the figures."""
        last, tick = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            for cut in pipeline.turns():
                if not writer.submit(cut):
                    self._out.put(Notice(code="turn_lost", message="a turn could not be stored"))
            if pipeline.too_slow():
                hint = "reconnect with the resume token once audio plays again"
                self._refuse(ProtocolFault(ErrorCode.TOO_SLOW, "audio was sent, but no progress was reported", hint))
            if tick % PING_TICKS == 0:
                await pipeline.keep_alive(tick)
            if tick % STATS_TICKS == 0:
                now = time.monotonic()
                pipeline.meter.lost = self._lost
                self._out.put(pipeline.stats(now - last))
                last = now

    def _say(self, message: ServerEvent) -> None:
        self._out.put(message)

    async def _pump_out(self) -> None:
        while True:
            await self._peer.tell(await self._out.get())

    async def _apply(self, config: SessionConfig) -> None:
        assert self._pipeline is not None
        self._pipeline.set_quantizers(config.quantizers)
        self._out.put(ConfigChanged(config=config))

    async def _go_away(self) -> None:
        """The process drains: this connection is asked to leave, and waited for."""
        fault = _going_away()
        self._out.put(Notice(code=fault.code, message=fault.message))
        self._refuse(fault)
        await self._closed.wait()

    # -- the end -------------------------------------------------------------------------------------------

    async def _shut_down(self, ending: Ending) -> None:
        while len(self._out):
            await self._peer.tell(self._out.pop())
        if ending.fault is not None and ending.fault.code is not ErrorCode.BUSY:
            await self._peer.tell(_error(ending.fault, fatal=True))
        storing = asyncio.create_task(self._store(ending))
        if ending.kind != "gone":
            # The row first, then the close, so that a client that reconnects at once finds its session ready.
            await asyncio.wait({storing}, timeout=_grace_s(ending))
            if ending.kind != "bug":
                await self._peer.close(ending.fault.code.close_code if ending.fault else CLOSE_NORMAL)
        await storing

    async def _store(self, ending: Ending) -> None:
        if self._greeted is None:
            return
        await self._greeted.link.aclose()
        if self._pipeline and self._writer and self._storing:
            for cut in self._pipeline.last_turns():
                self._writer.submit(cut)
            await self._writer.finish()
            await self._storing
        session_id, holder = self._greeted.session.pk, self._greeted.opened.resume_token
        try:
            if ending.kind == "end":
                await database_sync_to_async(session_end)(session_id=session_id, reason="client", holder=holder)
            else:
                generation = self._pipeline.generation if self._pipeline else None
                fault = ending.fault.code.value if ending.fault else ending.kind if ending.kind == "bug" else ""
                await database_sync_to_async(session_suspend)(
                    session_id=session_id, holder=holder, generation=generation, fault=fault
                )
        except Exception:  # the lease runs out by itself
            logger.exception("session %s: its end could not be written", session_id)


def _grace_s(ending: Ending) -> float:
    if ending.kind == "end":
        return END_GRACE_S
    # Who does not read is to be gone within five seconds, however slow the database is.
    return 0.0 if ending.fault is not None and ending.fault.code is ErrorCode.TOO_SLOW else STORE_GRACE_S


def _error(fault: ProtocolFault, *, fatal: bool) -> ErrorEvent:
    return ErrorEvent(code=fault.code, message=fault.message, hint=fault.hint, fatal=fatal)


def _going_away() -> ProtocolFault:
    return ProtocolFault(ErrorCode.GOING_AWAY, "the server restarts", "reconnect with the resume token")
