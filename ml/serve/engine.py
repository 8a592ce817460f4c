"""The engine: one thread that owns the device and steps all sessions that have a frame waiting as one batch."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ml.serve.slots import Frame, Session, SlotTable
from ml.serve.stepper import PCM_SCALE, CodecStepper
from ml.serve.wire import AudioDown, AudioUp, ServerMessage, Speech
from ml.vad import VadBank

log = logging.getLogger(__name__)

Output = tuple[Session, ServerMessage | None]
"""A message for a session; None says that a queued frame ended without one (it had gone stale in mid-step)."""
Publish = Callable[[list[Output]], None]


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


class Engine:
    """Sessions are opened, fed and closed from any thread; results leave through ``publish`` on the device thread.

    A tick is one batch step. It is late when the output of one of its frames leaves later than 20 ms after the
    frame arrived (for frames that came in a burst: after it would have arrived in time).
    """

    def __init__(
        self,
        stepper: CodecStepper,
        vad: VadBank | None,
        config: EngineConfig,
        publish: Publish,
        on_failure: Callable[[BaseException], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._stepper = stepper
        self._vad = vad
        self._config = config
        self._publish = publish
        self._on_failure = on_failure
        self._clock = clock
        self._wake = threading.Condition()
        self._slots = SlotTable(config.capacity, config.queue_frames)
        self._stopping = False
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._ticks = 0
        self._late_ticks = 0
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

    def open(self, quantizers: int) -> Session | None:
        """A session in a free slot, or None when all are taken."""
        with self._wake:
            return self._slots.admit(quantizers)

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

    def configure(self, session: Session, quantizers: int | None, generation: int | None) -> int:
        """Change a session from its next frame on; returns how many queued frames went stale."""
        with self._wake:
            if quantizers is not None:
                session.quantizers = quantizers
            return 0 if generation is None else session.raise_generation(generation)

    def close(self, session: Session) -> None:
        """Free the session's slot at once, also in mid-step."""
        with self._wake:
            self._slots.release(session)

    def stats(self) -> EngineStats:
        """Counters and percentiles as of now."""
        with self._wake:
            times = list(self._tick_ms)
            active, ticks, late_ticks, dropped = self._slots.active, self._ticks, self._late_ticks, self._dropped
        # Outside the lock: a sort must not make the device wait.
        p50, p95 = (float(p) for p in np.percentile(times, [50, 95])) if times else (0.0, 0.0)
        return EngineStats(active, self._slots.capacity, ticks, late_ticks, dropped, round(p50, 3), round(p95, 3))

    # -- device thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            # OpenMP keeps the number per thread: it has to be set in the thread that computes.
            torch.set_num_threads(self._config.threads)
            self.warm_up_ms = self._stepper.warm_up()
            self._ready.set()
            while (batch := self._take()) is not None:
                self._tick(*batch)
        except BaseException as exc:
            # A step checks nothing that a client sends (that is done before), so this is the device or a bug:
            # the process ends and whoever supervises it starts a clean one.
            log.exception("the device thread failed")
            self._failure = exc
            was_ready = self._ready.is_set()
            self._ready.set()
            if was_ready:
                self._on_failure(exc)

    def _take(self) -> tuple[list[Session], list[Frame], list[int]] | None:
        """One frame of every session that has one, and the rows that begin anew; None to stop."""
        with self._wake:
            while True:
                if self._stopping:
                    return None
                sessions = self._slots.waiting()
                if not sessions:
                    self._wake.wait()
                    continue
                pause_ns = self._last_start_ns + self._config.tick_ms * 1e6 - self._clock()
                if pause_ns > 0 and len(sessions) < self._slots.active:
                    self._wake.wait(pause_ns / 1e9)
                    continue
                frames = [session.queue.popleft() for session in sessions]
                fresh = [session.row for session in sessions if session.fresh]
                for session in sessions:
                    session.fresh = False
                self._last_start_ns = self._clock()
                return sessions, frames, fresh

    def _tick(self, sessions: list[Session], frames: list[Frame], fresh: list[int]) -> None:
        started_ns = self._clock()
        rows = [session.row for session in sessions]
        pcm = np.stack([np.frombuffer(frame.audio.pcm, "<i2") for frame in frames])
        stepped = self._stepper.step(rows, fresh, pcm, [frame.quantizers for frame in frames])
        outputs: list[Output] = []
        for i, (session, frame) in enumerate(zip(sessions, frames, strict=True)):
            audio = frame.audio
            if session.closed or audio.generation < session.generation:
                outputs.append((session, None))
                continue
            down = AudioDown(
                seq=audio.seq,
                timestamp_ms=audio.timestamp_ms,
                generation=audio.generation,
                queue_us=max(0, started_ns - frame.arrived_ns) // 1000,
                encode_us=stepped.encode_us,
                decode_us=stepped.decode_us,
                codes=stepped.codes[i],
                pcm=stepped.pcm[i].astype("<i2").tobytes(),
            )
            outputs.append((session, down))
        done_ns = self._clock()
        with self._wake:  # counted first: who has an answer finds its tick in the statistics
            self._ticks += 1
            self._late_ticks += any(done_ns > frame.due_ns for frame in frames)
            self._tick_ms.append((done_ns - started_ns) / 1e6)
        self._publish(outputs)
        if self._vad is not None:
            self._listen(self._vad, sessions, frames, fresh, pcm.astype(np.float32) / np.float32(PCM_SCALE))

    def _listen(
        self,
        vad: VadBank,
        sessions: list[Session],
        frames: list[Frame],
        fresh: list[int],
        audio: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    ) -> None:
        """Voice activity of the frames just stepped; after their audio has left, so that it costs no latency."""
        for row in fresh:
            vad.reset(row)
        owners = {session.row: session for session in sessions}
        events = vad.push(list(owners), audio, [frame.audio.timestamp_ms for frame in frames])
        if events:
            self._publish([(owners[row], Speech(event.event, max(0, event.at_ms))) for row, event in events])
