"""The engine: one thread that owns the device and steps all sessions that have something to do as one batch."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ml.recogniser.turns import TurnEars
from ml.serve import reconstruct
from ml.serve.messages import AudioDown, AudioUp, Open, ServerMessage, Set
from ml.serve.niceness import set_niceness
from ml.serve.orders import ChangeTurnTaking, ChangeVoice, Heard, Order, StopAnswer
from ml.serve.slots import Frame, Session, SlotTable
from ml.serve.speaking import TalkConfig
from ml.serve.stepper import CodecStepper
from ml.serve.talk import TalkStage
from ml.serve.talk_orders import carry_out, new_conversation
from ml.serve.talker import Talker
from ml.vad import VadBank

log = logging.getLogger(__name__)

Output = tuple[Session, ServerMessage | None]
"""A message for a session; None says that a queued frame ended without one of its own."""
Publish = Callable[[list[Output]], None]

TICK_BUDGET_MS = 40.0
"""A tick of a conversation that takes longer than one frame of the dialogue codec is late."""
_HEARD_LONG_NS = 3_000_000
_HEARD_VERY_LONG_NS = 8_000_000
_PUT_OFF = 3
"""Hearing that takes longer leaves long work to the next tick, or any, at most so many times."""
_NICENESS = -10
"""Of the device thread: web, worker and whatever else shares the cores can wait some milliseconds, a frame cannot."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Options of the engine."""

    capacity: int = 8
    """Sessions at a time, one row of the batch each."""
    queue_frames: int = 25
    """Frames of 20 ms that may wait per session; beyond that the oldest is dropped and counted."""
    tick_ms: float = 5.0
    """Shortest time between the starts of two steps, so that sessions out of step share them; 0 steps at once."""
    threads: int = 1
    """torch's threads on a CPU. Two threads took a step of eight rows from 8.7 to 6.9 ms on two idle cores, but with
    anything else running (the web process always is) its threads waited for each other: 9 to 47 ms at the median,
    up to 800 ms at p95."""
    history: int = 500
    """Ticks over which the percentiles are taken."""
    talk: TalkConfig = field(default_factory=TalkConfig)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the start, and percentiles over the last ticks in ms."""

    active: int
    capacity: int
    ticks: int
    late_ticks: int
    dropped: int
    tick_ms_p50: float
    tick_ms_p95: float
    talking: int = 0
    answering: int = 0
    queued_frames: int = 0
    underruns: int = 0
    answers: int = 0


@dataclass(slots=True)
class _Work:
    """What one tick takes: a frame of each session that has one, orders, and rows that begin anew."""

    frames: list[tuple[Session, Frame]]
    orders: list[tuple[Session, Order]]
    fresh: list[int]


class Engine:
    """Sessions are opened, fed and closed from any thread; results leave through ``publish`` on the device thread.

    A tick is one batch step. It is late when the output of one of its frames leaves later than 20 ms after the frame
    arrived (for frames that came in a burst: after it would have arrived in time); with conversations in it, when it
    takes longer than `TICK_BUDGET_MS`.
    """

    def __init__(
        self,
        stepper: CodecStepper,
        vad: VadBank | None,
        config: EngineConfig,
        publish: Publish,
        on_failure: Callable[[BaseException], None],
        clock: Callable[[], int] = time.monotonic_ns,
        talker: Talker | None = None,
        ears: TurnEars | None = None,
    ) -> None:
        self._models: dict[str, Any] = {"reconstruct": stepper, "talk": talker}
        self._vad = vad
        self._ears = ears
        self._config = config
        self._publish = publish
        self._on_failure = on_failure
        self._clock = clock
        self._wake = threading.Condition()
        self._slots = SlotTable(config.capacity, config.queue_frames)
        self._talk = TalkStage(vad, config.talk, self._say, clock) if vad is not None else None
        self._opens: dict[Session, Open] = {}
        self._outputs: list[Output] = []
        self._stopping = False
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._ticks = 0
        self._late_ticks = 0
        self._put_off = 0
        """So many ticks in a row have left work for the next one."""
        self._dropped = 0
        self._tick_ms: deque[float] = deque(maxlen=config.history)
        self._last_start_ns = 0
        self.warm_up_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    # -- any thread --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the device thread and wait until it is warm. Raises whatever the warm-up raised."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop after the step that runs, if any; queued frames are given up. Harmless when it never started."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def open(self, request: Open) -> Session | None:
        """A session in a free slot, or None when all are taken. The mode must be one that `serves`."""
        talk = request.mode == "talk"
        with self._wake:
            session = self._slots.admit(request.quantizers, self._models[request.mode], talk=talk)
            if session is not None and talk:
                self._opens[session] = request
            return session

    def serves(self, mode: str) -> bool:
        """Whether there is a model for this mode."""
        return self._models.get(mode) is not None and (mode != "talk" or self._talk is not None)

    def push(self, session: Session, audio: AudioUp) -> int:
        """Queue one frame; returns how many frames were given up for it (see `Session.push`)."""
        with self._wake:
            if session.closed:
                return 1
            before = session.dropped
            given_up = session.push(audio, self._clock())
            self._dropped += session.dropped - before
            self._wake.notify()
            return given_up

    def configure(self, session: Session, change: Set) -> int:
        """Change a session from its next frame or answer on; returns how many queued frames went stale."""
        with self._wake:
            if change.quantizers is not None:
                session.quantizers = change.quantizers
            if session.talk:
                if change.generation is not None:
                    stops = change.heard_ms is None and change.generation > session.generation
                    session.orders.extend([StopAnswer()] if stops else [])
                if change.heard_ms is not None:
                    session.orders.append(Heard(change.heard_ms))
                if change.voice is not None:
                    session.orders.append(ChangeVoice(change.voice, change.now))
                taking = (change.turn_taking, change.endpoint_min_ms, change.endpoint_max_ms)
                if any(value is not None for value in taking):
                    session.orders.append(ChangeTurnTaking(*taking))
                self._wake.notify()
            return 0 if change.generation is None else session.raise_generation(change.generation)

    def order(self, session: Session, order: Order) -> None:
        """Have a conversation do something."""
        with self._wake:
            if session.talk and not session.closed:
                session.orders.append(order)
                self._wake.notify()

    def close(self, session: Session) -> None:
        """Free the session's slot at once, also in mid-step."""
        with self._wake:
            self._slots.release(session)
            self._opens.pop(session, None)

    def install(self, mode: str, model: Any) -> None:
        """Serve sessions that begin from now on with ``model``, which must be warm; sessions that run keep theirs."""
        with self._wake:
            self._models[mode] = model

    def stats(self) -> EngineStats:
        """Counters and percentiles as of now."""
        with self._wake:
            times = list(self._tick_ms)
            sessions = self._slots.sessions()
            ticks, late_ticks, dropped = self._ticks, self._late_ticks, self._dropped
        # Outside the lock: a sort must not make the device wait.
        p50, p95 = (float(p) for p in np.percentile(times, [50, 95])) if times else (0.0, 0.0)
        return EngineStats(
            len(sessions),
            self._slots.capacity,
            ticks,
            late_ticks,
            dropped,
            round(p50, 3),
            round(p95, 3),
            talking=sum(session.talk for session in sessions),
            answering=sum(session.answering for session in sessions),
            queued_frames=sum(len(session.queue) for session in sessions),
            underruns=self._talk.mouth.underruns if self._talk else 0,
            answers=self._talk.mouth.answers if self._talk else 0,
        )

    # -- device thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            # OpenMP keeps the number per thread: it has to be set in the thread that computes.
            torch.set_num_threads(self._config.threads)
            set_niceness(_NICENESS)
            self.warm_up_ms = sum(model.warm_up() for model in self._models.values() if model is not None)
            self._ready.set()
            while (work := self._take()) is not None:
                self._tick(work)
        except BaseException as exc:
            # A step checks nothing that a client sends (that is done before), so this is the device or a bug:
            # the process ends and whoever supervises it starts a clean one.
            log.exception("the device thread failed")
            self._failure = exc
            was_ready = self._ready.is_set()
            self._ready.set()
            if was_ready:
                self._on_failure(exc)

    def _take(self) -> _Work | None:
        """What there is to do, waited for; None to stop."""
        with self._wake:
            return self._wait()

    def _wait(self) -> _Work | None:
        while True:
            if self._stopping:
                return None
            sessions, ordered = self._slots.waiting(), self._slots.ordered()
            now_ns = self._clock()
            due_ns = self._talk.next_due_ns(now_ns) if self._talk else None
            if not sessions and not ordered and (due_ns is None or due_ns > now_ns):
                self._wake.wait(None if due_ns is None else (due_ns - now_ns) / 1e9)
                continue
            pause_ns = self._last_start_ns + self._config.tick_ms * 1e6 - now_ns
            only_frames = not ordered and (due_ns is None or due_ns > now_ns)
            if pause_ns > 0 and only_frames and len(sessions) < self._slots.active:
                self._wake.wait(pause_ns / 1e9)
                continue
            frames = [(session, session.queue.popleft()) for session in sessions]
            orders = [(session, session.orders.popleft()) for session in ordered]
            fresh = [session.row for session, _ in frames if session.fresh]
            for session, _ in frames:
                session.fresh = False
            self._last_start_ns = now_ns
            return _Work(frames, orders, fresh)

    def _tick(self, work: _Work) -> None:
        started_ns = self._clock()
        mine: dict[int, list[tuple[Session, Frame]]] = {}
        for session, frame in work.frames:
            if not session.talk:
                mine.setdefault(id(session.model), []).append((session, frame))
        for group in mine.values():
            reconstruct.step_group(group[0][0].model, group, work.fresh, self._say, self._clock)
        self._count([frame for group in mine.values() for _, frame in group], started_ns)
        self._flush()
        if self._vad is not None:
            for group in mine.values():
                reconstruct.listen(self._vad, group, work.fresh, self._say)
        if self._talk is not None:
            self._converse(self._talk, work)
        self._flush()

    def _converse(self, talk: TalkStage, work: _Work) -> None:
        talk.sweep()
        frames = [(session, frame) for session, frame in work.frames if session.talk]
        for session in {session for session, _ in frames} | {session for session, _ in work.orders}:
            if talk.find(session) is None and (request := self._opens.pop(session, None)) is not None:
                talk.begin(new_conversation(session, request, self._ears))
        started_ns = self._clock()
        for session, order in work.orders:
            if (conversation := talk.find(session)) is not None:
                carry_out(talk, conversation, order)
        talk.hear([(c, frame) for session, frame in frames if (c := talk.find(session)) is not None])
        for session, _ in frames:
            self._say(session, None)
        # Reading a question or beginning an answer may take most of a tick, and hearing a third of one: then they are
        # two ticks, with the microphones once more between them.
        heard_ns = 0 if self._put_off >= _PUT_OFF else self._clock() - started_ns
        left = heard_ns > _HEARD_VERY_LONG_NS or talk.produce(brief=heard_ns > _HEARD_LONG_NS)
        self._put_off = self._put_off + 1 if left else 0
        for conversation in talk.conversations:
            conversation.session.answering = conversation.answers
        if talk.conversations and not any(not session.talk for session, _ in work.frames):
            took_ms = (self._clock() - started_ns) / 1e6
            with self._wake:
                self._ticks += 1
                self._late_ticks += took_ms > TICK_BUDGET_MS
                self._tick_ms.append(took_ms)

    def _count(self, frames: list[Frame], started_ns: int) -> None:
        """Counted before anything is published: who has an answer finds its tick in the statistics."""
        if not frames:
            return
        done_ns = self._clock()
        with self._wake:
            self._ticks += 1
            self._late_ticks += any(done_ns > frame.due_ns for frame in frames)
            self._tick_ms.append((done_ns - started_ns) / 1e6)

    def _say(self, session: Session, message: ServerMessage | None) -> None:
        self._outputs.append((session, message))
        # The first audio of an answer does not wait for the rest of the tick.
        if session.talk and isinstance(message, AudioDown) and message.seq == 0:
            self._flush()

    def _flush(self) -> None:
        if self._outputs:
            outputs, self._outputs = self._outputs, []
            self._publish(outputs)
