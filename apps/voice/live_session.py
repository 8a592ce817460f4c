"""One live session: from hello to close, and every reason to stop in between.

The consumer hands in what arrives (synchronously: it never waits here); this answers through :class:`Peer`. Audio is
:mod:`apps.voice.flow`'s, the lease and configuration :mod:`apps.voice.housekeeping`'s, turn rows
:mod:`apps.voice.writer`'s, what a client does wrong :mod:`apps.voice.offences`'s. The first reason to stop becomes the
:class:`Ending`; later ones no longer matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, Literal

from django.utils import timezone

from apps.voice import metrics, recollection
from apps.voice.ending import Ending, error_event, going_away, inference_lost, too_slow, write_row
from apps.voice.flow import Flow
from apps.voice.flows import Tuner, keep_turns, make_flow, relink
from apps.voice.greeting import Greeted, Person, config_of, greet
from apps.voice.housekeeping import Housekeeping
from apps.voice.inference_client import InferenceBusy, InferenceLink, InferenceLost
from apps.voice.intake import Intake
from apps.voice.mailbox import DropOldest
from apps.voice.models import VoiceSession
from apps.voice.offences import Offences
from apps.voice.outlet import outlet_for
from apps.voice.peer import Peer
from apps.voice.protocol import (
    CLOSE_NORMAL,
    HELLO_TIMEOUT_S,
    U32_MAX,
    Busy,
    ClientMessage,
    ConfigChanged,
    End,
    ErrorCode,
    Forget,
    GenerationChanged,
    Hello,
    Interrupt,
    Key,
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
from apps.voice.talk_pipeline import TalkPipeline
from apps.voice.writer import TurnWriter
from ml.serve.wire import Listen
from voiceplatform import drain

logger = logging.getLogger(__name__)

OUT_MESSAGES = 128
TICK_S, STATS_TICKS, PING_TICKS = 0.25, 4, 8
IDLE_GRACE_S = 0.5
"""After ``end``: how long frames on their way may still come back."""


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
        self._offences = Offences(self._out.put, self._finish)
        self._intake = Intake()
        self._greeted: Greeted | None = None
        self._flow: Flow | None = None
        self._tuner: Tuner | None = None
        self._switch: asyncio.Future[VoiceSession] | None = None  # done with the row when the mode changes
        self._chores: Housekeeping | None = None
        self._writer: TurnWriter | None = None
        self._storing: asyncio.Task[None] | None = None

    # -- what the consumer hands in: never waits -----------------------------------------------------------

    def receive_text(self, text: str) -> None:
        """A text frame came."""
        if self._ending.done():
            return
        try:
            self._offences.check_rate()
            self._on_message(parse_client_message(text))
        except ProtocolFault as fault:
            self._offences.add(fault)

    def receive_bytes(self, data: bytes) -> None:
        """A binary frame came."""
        if self._ending.done():
            return
        try:
            frame = parse_audio_up(data)
            if self._phase == "hello":
                raise ProtocolFault(ErrorCode.HELLO_FIRST, "audio came before hello", "send hello first")
            pcm = self._intake.take(frame)
        except ProtocolFault as fault:
            self._offences.add(fault)
            return
        if self._flow is not None:  # before the welcome there is nobody to hear it
            self._flow.accept(pcm)

    def gone(self) -> None:
        """The socket closed."""
        self._finish(Ending("gone"))

    def _on_message(self, message: ClientMessage) -> None:
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
            if self._flow is not None and message.rtt_ms is not None:
                self._flow.round_trip(message.rtt_ms)
        elif self._flow is None or self._chores is None:
            raise ProtocolFault(ErrorCode.BAD_MESSAGE, f"type: {message.type} came before welcome", "wait for welcome")
        elif isinstance(message, Played):
            self._flow.played(message)
        elif isinstance(message, Interrupt):
            self._interrupt()
        elif isinstance(message, Key):
            if not isinstance(self._flow, TalkPipeline):
                raise ProtocolFault(ErrorCode.BAD_MESSAGE, "type: key belongs to mode talk", "send config with mode")
            self._flow.key(message.event)
        elif isinstance(message, Forget):
            self._chores.forget()
        else:
            self._chores.configure(message)

    def truncate(self, turn: int, heard_ms: int) -> None:
        """The client has stopped the answer to ``turn`` after ``heard_ms`` (a protocol whose clients know that)."""
        if isinstance(self._flow, TalkPipeline):
            self._flow.truncate(turn, heard_ms)

    def listen(self, wish: Listen) -> None:
        """What counts as speech in this connection, and what follows (a protocol whose clients choose that)."""
        if isinstance(self._flow, TalkPipeline):
            self._flow.listen(wish)

    def reply(self) -> None:
        """An answer is wanted now: to what is being said, else to the turn that waits for one, else to nothing."""
        if isinstance(self._flow, TalkPipeline):
            self._flow.key("reply")

    def _interrupt(self) -> None:
        if self._flow is not None:
            self._out.put(GenerationChanged(generation=self._flow.interrupt(), reason="interrupt"))

    def _hinted(self, event: str) -> None:
        """The channel layer, or a chore, says: interrupt or forget."""
        if event == "interrupt":
            self._interrupt()
        elif event == "forget" and self._greeted is not None:
            recollection.drop(self._greeted.session.pk)
            if isinstance(self._flow, TalkPipeline):
                self._flow.forget()

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
                self._refuse(going_away())
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
        chores = await self._start(self._greeted)
        async with asyncio.TaskGroup() as group:
            around = [group.create_task(chore) for chore in (chores.run(), chores.listen())]
            session: VoiceSession | None = self._greeted.session
            while session is not None:
                session = await self._serve(session)
            chores.stop()
            for task in around:
                task.cancel()

    async def _serve(self, session: VoiceSession) -> VoiceSession | None:
        """Serve the session in its mode; the row when it is to go on in another one."""
        assert self._flow is not None
        assert self._writer is not None
        self._switch = asyncio.get_running_loop().create_future()
        pumps = [
            self._flow.pump_up(),
            self._flow.pump_wishes(),
            self._flow.pump_in(),
            self._flow.pump_down(),
            self._watch(self._flow, self._writer),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pump) for pump in pumps]
                await self._until_ending(self._switch)
                for task in tasks:
                    task.cancel()
        except* InferenceLost as lost:
            logger.warning("session %s: %s", session.pk, lost.exceptions[0])
            metrics.count("inference_lost_total")
            self._refuse(inference_lost())
        if self._ending.done() or not self._switch.done():
            return None
        return await self._change_mode(self._flow, self._writer, self._switch.result())

    async def _change_mode(self, flow: Flow, writer: TurnWriter, session: VoiceSession) -> VoiceSession | None:
        """Another slot, of the other mode; the old one when there is none."""
        keep_turns(flow, writer, flow.last_turns(), self._say)
        await flow.link.aclose()
        try:
            link, session = await relink(session, min(flow.generation + 1, U32_MAX), self._say)
        except (InferenceBusy, InferenceLost, ProtocolFault) as error:
            logger.warning("session %s: no slot after a change of mode: %s", session.pk, error)
            self._refuse(inference_lost())
            return None
        self._out.put(GenerationChanged(generation=session.generation, reason="config"))
        self._out.put(ConfigChanged(config=config_of(session)))
        self._begin_flow(session, link, writer, down_seq=flow.down_seq)
        return session

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
                metrics.count("busy_total")
                await self._peer.tell(Busy(retry_after_s=busy.retry_after_s))
                self._refuse(ProtocolFault(ErrorCode.BUSY, str(busy), "try again later"))
                return None
            except ProtocolFault as fault:
                self._phase = "hello"
                self._offences.add(fault)
                if self._ending.done():
                    return None

    async def _start(self, greeted: Greeted) -> Housekeeping:
        """Say welcome, and make everything that lives as long as the connection."""
        session = greeted.session
        self._writer = TurnWriter(session_id=session.pk, tell=self._peer.tell)
        self._begin_flow(session, greeted.link, self._writer)
        self._storing = asyncio.create_task(self._writer.run())
        self._chores = Housekeeping(
            session=session,
            token=greeted.opened.resume_token,
            person=greeted.person,
            generation=lambda: self._flow.generation if self._flow else session.generation,
            apply=self._apply,
            hint=self._hinted,
            offend=self._offences.add,
            refuse=self._refuse,
        )
        self._intake.agree(greeted.codecs)
        await self._peer.tell(greeted.welcome())
        self._phase = "live"
        await self._chores.subscribe()
        return self._chores

    def _begin_flow(self, session: VoiceSession, link: InferenceLink, writer: TurnWriter, *, down_seq: int = 0) -> None:
        assert self._greeted is not None
        outlet = outlet_for(self._greeted.codecs, talk=session.mode == VoiceSession.Mode.TALK)
        self._flow = make_flow(session, link, self._peer.send_audio, self._say, outlet=outlet, down_seq=down_seq)
        self._tuner = Tuner(self._flow)
        offset_ms = max(0, round((timezone.now() - session.created_at).total_seconds() * 1000))
        writer.began(offset_ms=offset_ms, models=link.models)

    async def _until_ending(self, switch: asyncio.Future[VoiceSession]) -> None:
        either: set[asyncio.Future[Any]] = {self._ending, switch}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._ending.done():
            return
        if self._ending.result().kind == "end" and self._flow is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_GRACE_S):
                    await self._flow.settled()

    async def _watch(self, flow: Flow, writer: TurnWriter) -> None:
        """Four times a second: finished turns, a client that is too slow, a server that is silent; the figures."""
        last, tick = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            keep_turns(flow, writer, flow.turns(), self._say)
            if flow.too_slow():
                self._refuse(too_slow())
            if tick % PING_TICKS == 0:
                await flow.keep_alive(tick)
            if tick % STATS_TICKS == 0:
                now = time.monotonic()
                flow.meter.lost = self._intake.lost
                self._out.put(flow.stats(now - last))
                last = now

    def _say(self, message: ServerEvent) -> None:
        self._out.put(message)

    async def _pump_out(self) -> None:
        while True:
            await self._peer.tell(await self._out.get())

    async def _apply(self, session: VoiceSession, config: SessionConfig | None, now: bool) -> None:
        assert self._flow is not None
        assert self._tuner is not None
        if (session.mode == VoiceSession.Mode.TALK) != isinstance(self._flow, TalkPipeline):
            if self._switch is not None and not self._switch.done():
                self._switch.set_result(session)
            return
        await self._tuner.follow(session, now=now)
        if config is not None:
            self._out.put(ConfigChanged(config=config))

    async def _go_away(self) -> None:
        """The process drains: this connection is asked to leave, and waited for."""
        fault = going_away()
        self._out.put(Notice(code=fault.code, message=fault.message))
        self._refuse(fault)
        await self._closed.wait()

    # -- the end -------------------------------------------------------------------------------------------

    async def _shut_down(self, ending: Ending) -> None:
        while len(self._out):
            await self._peer.tell(self._out.pop())
        if ending.fault is not None and ending.fault.code is not ErrorCode.BUSY:
            await self._peer.tell(error_event(ending.fault, fatal=True))
        storing = asyncio.create_task(self._store(ending))
        if ending.kind != "gone":
            # The row first, then the close, so that a client that reconnects at once finds its session ready.
            await asyncio.wait({storing}, timeout=ending.grace_s)
            if ending.kind != "bug":
                await self._peer.close(ending.fault.code.close_code if ending.fault else CLOSE_NORMAL)
        await storing

    async def _store(self, ending: Ending) -> None:
        if self._greeted is None:
            return
        await (self._flow.link if self._flow else self._greeted.link).aclose()
        if self._flow and self._writer and self._storing:
            keep_turns(self._flow, self._writer, self._flow.last_turns(), self._say)
            await self._writer.finish()
            await self._storing
        await write_row(self._greeted.opened, ending, self._flow.generation if self._flow else None)
