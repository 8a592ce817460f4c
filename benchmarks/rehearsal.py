"""The inference engine in virtual time: rows that ask real questions, a clock that is its own processor time.

What else runs on the machine hardly matters, so that two commits can be compared on a busy one. Nothing leaves through
a socket. Questions are the live benchmark's (espeak-ng); microphones never stop, and are out of step.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.conversation import PAUSE_S, question
from benchmarks.live import percentiles
from ml.codec.checkpoint import WEIGHTS_DIR
from ml.recogniser import kept
from ml.recogniser.turns import TurnEars
from ml.serve.app import load_recogniser
from ml.serve.engine import Engine, EngineConfig, Output, _Work
from ml.serve.messages import AudioUp, Open
from ml.serve.shelf import Shelf
from ml.serve.slots import Session
from ml.serve.talk_messages import Answer, Voice
from ml.serve.talker import Talker
from ml.vad import SileroVad, VadBank

FRAME = 320
FRAME_NS = 20_000_000
PATIENCE_NS = 8_000_000_000
"""A client that has heard no answer for so long asks again."""


class Clock:
    """Processor time of this thread, and what was slept."""

    def __init__(self) -> None:
        self.slept_ns = 0

    def __call__(self) -> int:
        return time.thread_time_ns() + self.slept_ns

    def sleep_until(self, then_ns: int) -> None:
        self.slept_ns += max(0, then_ns - self())


@dataclass
class Client:
    """A microphone in a room with somebody who asks, waits for the answer, and asks again."""

    session: Session
    number: int
    next_ns: int
    seq: int = 0
    asked: int = 0
    waits_since_ns: int = 0
    answered_ns: int = 0
    speech: Iterator[npt.NDArray[np.int16]] | None = None
    server_ms: list[float] = field(default_factory=list)

    def frame(self, now_ns: int) -> AudioUp:
        rng = np.random.default_rng((self.number, self.seq))
        sound = rng.normal(0.0, 8.0, FRAME).astype(np.int16)
        if self.speech is None and self._asks(now_ns):
            self.speech = self._question()
            self.asked += 1
        if self.speech is not None:
            said = next(self.speech, None)
            if said is None:
                self.speech, self.waits_since_ns, self.answered_ns = None, now_ns, 0
            else:
                sound = sound + said
        up = AudioUp(self.seq, self.seq * 20, 0, sound.astype("<i2").tobytes())
        self.seq += 1
        self.next_ns += FRAME_NS
        return up

    def _asks(self, now_ns: int) -> bool:
        if self.waits_since_ns == 0:
            return self.seq >= 25 + 30 * self.number
        if self.answered_ns:
            return now_ns - self.answered_ns > PAUSE_S * 1e9
        return now_ns - self.waits_since_ns > PATIENCE_NS

    def _question(self) -> Iterator[npt.NDArray[np.int16]]:
        audio = question(self.number + 4 * self.asked)
        audio = np.pad(audio, (0, -len(audio) % FRAME))
        yield from audio.reshape(-1, FRAME)


class _Sleep:
    """In place of the engine's condition: waiting is sleeping until the next frame comes."""

    def __init__(self, engine: Rehearsal) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def notify(self, n: int = 1) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        self._engine.sleep(timeout)
        return True


class Timed(Talker):
    """The shelf's talker, which keeps how often and how long (ms of this thread) each of its works was done."""

    works = ("encode", "listen", "read_next", "begin", "step", "decode")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.took_ms: dict[str, list[float]] = {name: [] for name in self.works}
        for name in self.works:
            setattr(self, name, partial(self._timed, name, getattr(self, name)))

    def _timed(self, name: str, work: Callable[..., Any], *args: Any) -> Any:
        before_ns = time.thread_time_ns()
        result = work(*args)
        self.took_ms[name].append((time.thread_time_ns() - before_ns) / 1e6)
        return result


class Rehearsal(Engine):
    """The engine itself, in this thread, with clients that need no sockets."""

    def __init__(self, sessions: int, seconds: float, *, tiny: bool = False) -> None:
        device = torch.device("cpu")
        shelf = Shelf(WEIGHTS_DIR, device, sessions)
        shelf.start("hifi", "cpu", tiny_talk=tiny)
        assert shelf.dialogue is not None
        assert shelf.s2s is not None
        self.timed = Timed(shelf.dialogue.model, shelf.s2s.model, sessions, device)
        recogniser = load_recogniser(WEIGHTS_DIR)
        ears = None if recogniser is None else TurnEars(recogniser, kept.shipped(None).endings)
        self.time = Clock()
        super().__init__(
            shelf.stepper(),
            VadBank(SileroVad(), sessions, FRAME),
            EngineConfig(capacity=sessions),
            self._take_in,
            self._fail,
            clock=self.time,
            talker=self.timed,
            ears=None if tiny else ears,
        )
        self._wake = _Sleep(self)  # type: ignore[assignment]
        self._seconds = seconds
        self.clients: list[Client] = []
        self.ends_ns = 0
        self.computed_ns = 0
        self.ticks_ms: list[float] = []

    def rehearse(self, sessions: int) -> None:
        """Everything, to the end. Raises what the engine raises."""
        torch.set_num_threads(self._config.threads)
        for model in self._models.values():
            model.warm_up()
        for times in self.timed.took_ms.values():
            times.clear()
        gc.collect()
        gc.freeze()  # as the server does: looking through everything takes longer than any tick
        began_ns = self.time()
        self.ends_ns = began_ns + round(self._seconds * 1e9)
        for number in range(sessions):
            speakers = {("priya", "ravi", "lakshmi", "arjun")[number % 4]: 1.0}
            session = self.open(Open(mode="talk", preset="dialogue", voice=Voice(speakers=speakers), seed=number))
            assert session is not None
            self.clients.append(Client(session, number, began_ns + number * 7_000_000))
        while (work := self._take()) is not None:
            before_ns = self.time()
            self._tick(work)
            self.computed_ns += self.time() - before_ns
            self.ticks_ms.append((self.time() - before_ns) / 1e6)

    def sleep(self, timeout: float | None) -> None:
        """Until the next frame comes, or for so long."""
        then_ns = min(client.next_ns for client in self.clients)
        if timeout is not None:
            then_ns = min(then_ns, self.time() + round(timeout * 1e9))
        self.time.sleep_until(then_ns)
        self._deliver()

    def _take(self) -> _Work | None:
        self._deliver()
        return super()._take()

    def _deliver(self) -> None:
        now_ns = self.time()
        self._stopping = now_ns >= self.ends_ns
        for client in self.clients:
            while client.next_ns <= now_ns:
                self.push(client.session, client.frame(client.next_ns))

    def _take_in(self, outputs: list[Output]) -> None:
        for session, message in outputs:
            client = next(client for client in self.clients if client.session is session)
            if isinstance(message, Answer) and message.event == "started":
                client.server_ms.append(message.latency["server_ms"])
            if isinstance(message, Answer) and message.event == "ended":
                client.answered_ns = self.time()

    @staticmethod
    def _fail(error: BaseException) -> None:
        raise error


def rehearse(sessions: int, seconds: float, *, tiny: bool = False) -> dict[str, Any]:
    """Ticks and answers of so many rows, in so many seconds of virtual time."""
    engine = Rehearsal(sessions, seconds, tiny=tiny)
    engine.rehearse(sessions)
    stats = engine.stats()
    return {
        "sessions": sessions,
        "seconds": seconds,
        "busy": round(engine.computed_ns / (seconds * 1e9), 3),
        "ticks": stats.ticks,
        "late_ticks": stats.late_ticks,
        "tick_ms": percentiles(engine.ticks_ms) | {"max": round(max(engine.ticks_ms), 1)},
        "dropped": stats.dropped,
        "underruns": stats.underruns,
        "asked": sum(client.asked for client in engine.clients),
        "answered": sum(len(client.server_ms) for client in engine.clients),
        "server_ms": percentiles([ms for client in engine.clients for ms in client.server_ms]),
        "works": {
            name: {"times": len(times), "ms": round(sum(times)), "ms_each": round(sum(times) / max(1, len(times)), 1)}
            for name, times in engine.timed.took_ms.items()
        },
    }
