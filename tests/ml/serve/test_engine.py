"""The engine without sockets: deadlines and rows."""

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ml.codec import TeluCodec
from ml.serve.engine import Engine, EngineConfig, Output
from ml.serve.niceness import set_niceness
from ml.serve.slots import Session
from ml.serve.stepper import CodecStepper
from ml.serve.wire import AudioDown, Open
from tests.ml.serve.client import DEADLINE_S, frames_of, noise
from tests.ml.serve.test_talker import talker

MS = 1_000_000


class Bench:
    """An engine with a clock that the test turns, and what it has published."""

    def __init__(self, codec: TeluCodec) -> None:
        self.now = 0
        self.step_ms = 0
        self.outputs: list[Output] = []
        self._changed = threading.Condition()
        stepper = CodecStepper(codec, 4, 320, torch.device("cpu"))
        step = stepper.step

        def slow_step(*args: object) -> object:
            self.now += self.step_ms * MS
            return step(*args)  # type: ignore[arg-type]

        stepper.step = slow_step  # type: ignore[method-assign,assignment]
        self.engine = Engine(
            stepper, None, EngineConfig(capacity=4, tick_ms=0.0), self._publish, self._fail, clock=lambda: self.now
        )

    def _publish(self, outputs: list[Output]) -> None:
        with self._changed:
            self.outputs += outputs
            self._changed.notify()

    def _fail(self, error: BaseException) -> None:
        raise error

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outputs) >= count, DEADLINE_S)

    def session(self, quantizers: int = 8) -> Session:
        session = self.engine.open(Open(quantizers=quantizers))
        assert session is not None
        return session


@pytest.fixture
def bench(codec: TeluCodec) -> Iterator[Bench]:
    bench = Bench(codec)
    bench.engine.start()
    yield bench
    bench.engine.stop()


def test_the_device_goes_first_where_it_may_and_what_it_starts_does_not(codec: TeluCodec) -> None:
    niceness: dict[str, int] = {}
    ordinary = os.getpriority(os.PRIO_PROCESS, os.getpid())

    def look(name: str) -> None:
        niceness[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def go_first() -> None:
        set_niceness(-10)
        look("allowed")
        talker()._beside.submit(look, "memory").result(DEADLINE_S)

    first = threading.Thread(target=go_first)
    first.start()
    first.join()
    stepped = threading.Event()

    def publish(_: list[Output]) -> None:
        look("device")
        stepped.set()

    one = Bench(codec)
    one.engine._publish = publish
    one.engine.start()
    session = one.engine.open(Open())
    assert session is not None
    one.engine.push(session, frames_of(noise(0.02, 1))[0])
    assert stepped.wait(DEADLINE_S)
    one.engine.stop()
    assert niceness["device"] == niceness["allowed"]
    look("this")
    assert niceness["memory"] == niceness["this"] == ordinary, "one thread of many, not the process"


def test_a_tick_that_overruns_its_deadline_is_counted(bench: Bench) -> None:
    session = bench.session()
    first, second, third = frames_of(noise(0.06, 1))
    bench.step_ms = 5
    bench.engine.push(session, first)
    bench.wait_for(1)
    bench.now += 20 * MS
    bench.step_ms = 21
    bench.engine.push(session, second)
    bench.wait_for(2)
    bench.now += 20 * MS
    bench.step_ms = 5
    bench.engine.push(session, third)
    bench.wait_for(3)
    bench.engine.stop()
    stats = bench.engine.stats()
    assert (stats.ticks, stats.late_ticks) == (3, 1)
    assert stats.tick_ms_p50 == 5.0
    downs = [message for _, message in bench.outputs]
    assert all(isinstance(down, AudioDown) and down.queue_us == 0 for down in downs)


def test_a_burst_that_is_worked_off_in_real_time_is_not_late(bench: Bench) -> None:
    session = bench.session()
    bench.step_ms = 15
    for frame in frames_of(noise(0.2, 1)):
        bench.engine.push(session, frame)
    bench.wait_for(10)
    bench.engine.stop()
    stats = bench.engine.stats()
    assert (stats.ticks, stats.late_ticks) == (10, 0)
    assert bench.now == 150 * MS


def test_random_rows_at_random_times_equal_the_solo_run(codec: TeluCodec) -> None:
    rng = np.random.default_rng(11)
    stepper = CodecStepper(codec, 4, 320, torch.device("cpu"))
    stepper.warm_up(rounds=1)
    audio = {row: noise(0.6, row).reshape(-1, 320) for row in range(4)}
    done = dict.fromkeys(audio, 0)
    heard: dict[int, list[np.ndarray]] = {row: [] for row in audio}
    while any(count < 30 for count in done.values()):
        rows = [row for row in audio if done[row] < 30 and rng.random() < 0.6]
        if not rows:
            continue
        pcm = np.stack([audio[row][done[row]] for row in rows])
        fresh = [row for row in rows if done[row] == 0]
        stepped = stepper.step(rows, fresh, pcm, [row + 1 for row in rows])
        for i, row in enumerate(rows):
            heard[row].append(stepped.pcm[i])
            done[row] += 1
    for row, frames in audio.items():
        solo = CodecStepper(codec, 1, 320, torch.device("cpu"))
        expected = [solo.step([0], [], frame[None], [row + 1]).pcm[0] for frame in frames]
        difference = np.abs(np.concatenate(heard[row]).astype(int) - np.concatenate(expected).astype(int))
        assert difference.max() <= 3  # 1e-4 of full scale


def test_a_failed_warm_up_is_raised_by_start(codec: TeluCodec) -> None:
    stepper = CodecStepper(codec, 1, 320, torch.device("cpu"))

    def broken(*_: object) -> None:
        raise RuntimeError("no kernel")

    stepper.step = broken  # type: ignore[method-assign,assignment]
    engine = Engine(stepper, None, EngineConfig(capacity=1), lambda _: None, lambda _: None)
    with pytest.raises(RuntimeError, match="no kernel"):
        engine.start()
    engine.stop()
