"""The socket side of the inference server: connections, admission, statistics, drain. Never touches the device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ml.serve import wire
from ml.serve.engine import Engine, Output
from ml.serve.lab import Lab
from ml.serve.lab_intake import LabIntake
from ml.serve.metrics import AnswerTimes, gauge
from ml.serve.shelf import Offer, ShelfError
from ml.serve.slots import Session

log = logging.getLogger(__name__)

LoadModel = Callable[[wire.Load], Mapping[str, Offer]]
"""Bring another model into service, in a thread of its own; returns the new offers. Raises ShelfError."""

_LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Options of the socket side."""

    max_connections: int = 64
    """Connections at a time, health checks included; more are answered by ``busy``."""
    max_unsent_bytes: int = 256 * 1024
    """What may wait for a client that does not read (about 7 s of its audio) before it is cut off."""
    idle_s: float = 60.0
    """A connection without a session that sends nothing for this long is closed."""
    full_retry_s: float = 2.0
    """What ``busy`` advises when all slots are taken."""
    drain_retry_s: float = 5.0
    """What ``busy`` advises while draining."""
    drain_s: float = 10.0
    """Longest time that queued frames are given at SIGTERM."""


class Connection:
    """One client. All methods run on the event loop."""

    def __init__(self, writer: asyncio.StreamWriter, task: asyncio.Task[None], max_unsent: int) -> None:
        self.writer = writer
        self.task = task
        self.session: Session | None = None
        self.unfinished = 0
        """Frames pushed whose output has not been delivered yet."""
        self.finishing = False
        """No more input is taken; the connection is closed once nothing is unfinished."""
        self.last_answer = False
        """An answer that is being spoken is waited for, too."""
        self.lab: LabIntake | None = None
        """A recording for the codec lab that is coming in or in work."""
        self.ended = False
        """Nothing more is sent; what still comes in is read and forgotten."""
        self._max_unsent = max_unsent

    def send(self, message: wire.Message) -> None:
        """Send without waiting; a client whose unread output passes the limit is cut off."""
        transport = self.writer.transport
        if self.ended or transport.is_closing():
            return
        self.writer.write(wire.encode(message))
        if transport.get_write_buffer_size() > self._max_unsent:
            log.warning("a client does not read: %d bytes wait, closing it", transport.get_write_buffer_size())
            transport.abort()

    def end_output(self) -> None:
        """Tell the client that nothing more comes; it has a moment to read the rest and hang up.

        Closing at once, with input unread, would reset the connection and lose what is on its way.
        """
        transport = self.writer.transport
        if not self.ended and not transport.is_closing():
            self.ended = True
            with contextlib.suppress(OSError):  # the peer has reset the connection, the loop does not know it yet
                transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_S, transport.abort)


class InferenceServer:
    """Serves any number of listening sockets from one engine.

    Give ``deliver`` (by way of `asyncio.loop.call_soon_threadsafe`) to the engine as its ``publish``.
    """

    def __init__(
        self, offers: Mapping[str, Offer], config: ServerConfig | None = None, load: LoadModel | None = None
    ) -> None:
        self.engine: Engine | None = None
        self.draining = False
        self.offers = dict(offers)
        """What is offered to sessions that begin now, by mode."""
        self.lab: Lab | None = None
        """Takes recordings for the codec lab; None: there is none here."""
        self.no_talk = "talk is not served here; use 'reconstruct'"
        self._load_model = load
        self._times = AnswerTimes()
        self._loading = asyncio.Lock()
        self._chores: set[asyncio.Task[None]] = set()
        self._config = config or ServerConfig()
        self._connections: set[Connection] = set()
        self._by_session: dict[Session, Connection] = {}
        self._servers: list[asyncio.Server] = []
        self._started = time.monotonic()

    # -- life --------------------------------------------------------------------------------------------

    async def listen(self, engine: Engine, sockets: list[Any]) -> None:
        """Accept connections on bound sockets; the engine must be warm."""
        self.engine = engine
        for sock in sockets:
            start = asyncio.start_unix_server if _is_unix(sock) else asyncio.start_server
            self._servers.append(await start(self._accept, sock=sock))

    async def drain(self) -> None:
        """Refuse new sessions, answer what is queued, then close every connection and socket."""
        self.draining = True
        connections = list(self._by_session.values())
        for connection in connections:
            connection.send(wire.Draining())
            connection.finishing = connection.last_answer = True
            self._end_if_finished(connection)
        if connections:
            await asyncio.wait([connection.task for connection in connections], timeout=self._config.drain_s)
        if self._by_session:
            log.warning("drain: %d sessions had frames left after %.0f s", len(self._by_session), self._config.drain_s)
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.end_output()
        if self._connections:
            await asyncio.wait([connection.task for connection in self._connections], timeout=2 * _LINGER_S)

    def deliver(self, outputs: list[Output]) -> None:
        """Hand the engine's results to their connections (on the event loop)."""
        for session, message in outputs:
            connection = self._by_session.get(session)
            if connection is None:
                continue
            if message is None or (isinstance(message, wire.AudioDown) and not session.talk):
                connection.unfinished -= 1
            stale = isinstance(message, wire.AudioDown) and message.generation < session.generation
            if message is not None and not stale:
                connection.send(message)
            if isinstance(message, wire.Answer) and message.event == "started":
                self._times.observe(message.latency)
            self._end_if_finished(connection)

    def stats(self) -> wire.Stats:
        """The counters told to whoever asks."""
        assert self.engine is not None
        engine = self.engine.stats()
        return wire.Stats(
            active=engine.active,
            capacity=engine.capacity,
            free=0 if self.draining else engine.capacity - engine.active,
            late_ticks=engine.late_ticks,
            ticks=engine.ticks,
            tick_ms_p50=engine.tick_ms_p50,
            tick_ms_p95=engine.tick_ms_p95,
            dropped=engine.dropped,
            uptime_s=round(time.monotonic() - self._started, 3),
            models=self.models(),
            draining=self.draining,
        )

    def describe(self) -> dict[str, Any]:
        """What the registry is told."""
        stats = self.stats()
        return {
            "free": stats.free,
            "capacity": stats.capacity,
            "talk": "talk" in self.offers,
            "models": self.models(),
            "draining": self.draining,
        }

    def metrics(self) -> str:
        """Prometheus' text."""
        assert self.engine is not None
        stats = self.engine.stats()
        figures = [
            ("voice_sessions_active", "Sessions that hold a slot.", stats.active, "gauge"),
            ("voice_sessions_talking", "Of them, conversations.", stats.talking, "gauge"),
            ("voice_answers_speaking", "Answers being spoken now.", stats.answering, "gauge"),
            ("voice_slots", "Sessions that fit.", stats.capacity, "gauge"),
            ("voice_queue_frames", "Microphone frames that wait.", stats.queued_frames, "gauge"),
            ("voice_ticks_total", "Batch steps.", stats.ticks, "counter"),
            ("voice_late_ticks_total", "Batch steps that took longer than they may.", stats.late_ticks, "counter"),
            ("voice_dropped_frames_total", "Frames given up in full queues.", stats.dropped, "counter"),
            ("voice_answers_total", "Answers begun to be heard.", stats.answers, "counter"),
            ("voice_answer_underruns_total", "Answer frames sent after their time.", stats.underruns, "counter"),
            ("voice_tick_ms_p50", "Median of the last ticks, ms.", stats.tick_ms_p50, "gauge"),
            ("voice_tick_ms_p95", "95th percentile of the last ticks, ms.", stats.tick_ms_p95, "gauge"),
            ("voice_draining", "1 while this server takes no more sessions.", float(self.draining), "gauge"),
        ]
        lines = [line for name, words, value, kind in figures for line in gauge(name, words, value, kind)]
        return "\n".join([*lines, *self._times.lines(), ""])

    def models(self) -> dict[str, Any]:
        """What is loaded: the codec of mode reconstruct as ``codec``, those of conversations as ``talk``."""
        models = dict(self.offers["reconstruct"].models)
        if "talk" in self.offers:
            models["talk"] = self.offers["talk"].models
        return models

    # -- one connection ----------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(writer, task, self._config.max_unsent_bytes)
        self._connections.add(connection)
        try:
            if len(self._connections) > self._config.max_connections:
                connection.send(wire.Busy(self._config.full_retry_s))
                await _hang_up(reader, writer)
            else:
                await self._converse(connection, reader)
        except (ConnectionError, TimeoutError):
            pass
        except asyncio.CancelledError:
            log.debug("connection cancelled")
        except Exception:
            log.exception("a connection failed")
        finally:
            self._release(connection)
            if connection.lab is not None:
                connection.lab.forget()
            self._connections.discard(connection)
            writer.close()

    async def _converse(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        go_on = True
        while go_on:
            # Only a session may be silent for long (a muted microphone); its end is the web side's business.
            async with asyncio.timeout(self._config.idle_s if connection.session is None else None):
                try:
                    message = await wire.read_message(reader, wire.decode_client)
                    if message is None:
                        return
                    go_on = self._handle(connection, message)
                except wire.WireError as exc:
                    connection.send(wire.Error(exc.code, str(exc)))
                    go_on = False
                    message = None
                if not isinstance(message, wire.AudioUp):
                    # Whoever asks must read the answers: this is what bounds a flood of pings.
                    await connection.writer.drain()
        self._release(connection)
        await _hang_up(reader, connection.writer)

    def _handle(self, connection: Connection, message: wire.ClientMessage) -> bool:
        """Act on one message; False to hang up. Raises WireError for one that does not fit the state."""
        assert self.engine is not None
        if connection.ended:
            return True
        match message:
            case wire.AudioUp():
                if connection.finishing:
                    return True
                session = _session_of(connection, "audio")
                connection.unfinished += 1 - self.engine.push(session, message)
            case wire.Open():
                return self._open(connection, message)
            case wire.Set():
                session = _session_of(connection, "set")
                connection.unfinished -= self.engine.configure(session, message)
                self._end_if_finished(connection)
            case wire.Key() | wire.Listen() | wire.Forget() | wire.History():
                session = _session_of(connection, getattr(message, "type", "history"))
                if not session.talk:
                    raise wire.WireError("bad_message", "only a session of mode talk can be told that")
                self.engine.order(session, message)
            case wire.Lab() | wire.Caption():
                return self._lab(connection, message)
            case wire.LabUp():
                if connection.lab is None:
                    raise wire.WireError("not_open", "a part of a recording needs 'lab' or 'caption' first")
                if not connection.lab.add(message):
                    connection.send(wire.Busy(self._config.full_retry_s))
                    return False
            case wire.Load():
                chore = asyncio.create_task(self._load(connection, message))
                self._chores.add(chore)
                chore.add_done_callback(self._chores.discard)
            case wire.Ping():
                connection.send(wire.Pong(message.id))
            case wire.StatsRequest():
                connection.send(self.stats())
            case wire.Close():
                connection.finishing = True
                self._end_if_finished(connection)
        return True

    def _open(self, connection: Connection, message: wire.Open) -> bool:
        assert self.engine is not None
        if connection.session is not None:
            raise wire.WireError("already_open", "this connection has a session; open another connection")
        offer = self.offers.get(message.mode)
        if offer is None or not self.engine.serves(message.mode):
            raise wire.WireError("unsupported_mode", self.no_talk)
        if message.preset != offer.preset:
            raise wire.WireError(
                "unknown_preset", f"preset {message.preset!r} is not loaded here; this server has {offer.preset!r}"
            )
        session = None if self.draining else self.engine.open(message)
        if session is None:
            connection.send(wire.Busy(self._config.drain_retry_s if self.draining else self._config.full_retry_s))
            return False
        connection.session = session
        self._by_session[session] = connection
        connection.send(
            wire.Opened(
                slot=session.row,
                capacity=self.engine.stats().capacity,
                sample_rate=offer.sample_rate,
                hop=offer.hop,
                frame_samples=wire.FRAME_SAMPLES,
                delay_ms=offer.delay_ms,
                models=offer.models,
            )
        )
        return True

    def _lab(self, connection: Connection, message: wire.Lab | wire.Caption) -> bool:
        if self.lab is None or self.draining:
            connection.send(wire.Busy(self._config.drain_retry_s))
            return False
        if connection.session is not None or (connection.lab is not None and not connection.lab.done):
            raise wire.WireError("already_open", "this connection is in use; open another for the lab")
        connection.lab = LabIntake(message, self.lab, connection.send, asyncio.get_running_loop())
        return True

    async def _load(self, connection: Connection, request: wire.Load) -> None:
        """One model at a time; whatever goes wrong, what runs goes on."""
        if self._load_model is None:
            connection.send(wire.LoadFailed("unsupported", "this server cannot change its models"))
            return
        async with self._loading:
            try:
                self.offers = dict(await asyncio.to_thread(self._load_model, request))
            except ShelfError as error:
                connection.send(wire.LoadFailed("bad_model", str(error)))
            except Exception as error:
                log.exception("a model could not be brought into service")
                connection.send(wire.LoadFailed("failed", f"{type(error).__name__}: {error}"))
            else:
                log.info("now serving %s", request.file)
                connection.send(wire.Loaded(request.kind, self.models()))

    def _end_if_finished(self, connection: Connection) -> None:
        session = connection.session
        if connection.last_answer and session is not None and session.answering:
            return
        if connection.finishing and connection.unfinished <= 0:
            self._release(connection)
            connection.end_output()

    def _release(self, connection: Connection) -> None:
        session, connection.session = connection.session, None
        if session is not None and self.engine is not None:
            self.engine.close(session)
            self._by_session.pop(session, None)


def _session_of(connection: Connection, what: str) -> Session:
    if connection.session is None:
        raise wire.WireError("not_open", f"'{what}' needs a session: send 'open' first")
    return connection.session


def _is_unix(sock: Any) -> bool:
    return isinstance(sock.getsockname(), str | bytes)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the output and read on until the client closes too, for a moment; see `Connection.end_output`."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_LINGER_S):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            while await reader.read(65_536):
                pass
