"""The live path while a training runs on the same cores, started as a job's supervisor starts it (lowest priority).

Of one's own voice through the codec, or of conversations: then from the end of the speech to the answer's first audio.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from benchmarks.conversation import measure_talk
from benchmarks.live import measure
from benchmarks.product import ROOT, Product

RUNNER = ROOT / "apps" / "training" / "supervisor" / "runner.py"
NICENESS = 19
ROUNDS = 3
START_DEADLINE_S = 300.0


@contextlib.contextmanager
def training(folder: Path) -> Iterator[int]:
    """The hifi codec in training on one thread (as jobs are, where there are two cores), from its first numbers on.

    Yields its process group.
    """
    random = np.random.default_rng(0)
    (folder / "data").mkdir()
    for number in range(8):
        soundfile.write(folder / "data" / f"{number}.wav", 0.1 * random.standard_normal(64_000), 16_000)
    run = folder / "run"
    run.mkdir()
    threads = max(1, (os.cpu_count() or 2) - 1)
    trainer = ["-W", "ignore", "-m", "ml", "train", "codec", "--config", "hifi", "--data", str(folder / "data")]
    trainer += ["--run", str(run), "--cache", str(folder / "cache"), "--device", "cpu", "--threads", str(threads)]
    command = [sys.executable, "-I", str(RUNNER), str(run), "1", str(NICENESS), "--", sys.executable, *trainer]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        began = time.monotonic()
        while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
            if process.poll() is not None or time.monotonic() - began > START_DEADLINE_S:
                raise RuntimeError("the training did not start:\n" + (run / "log.txt").read_text()[-2000:])
            time.sleep(0.2)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def steps(folder: Path) -> int:
    """How far the training got."""
    return int(json.loads((folder / "run" / "metrics.jsonl").read_text().splitlines()[-1])["step"])


def measure_beside_training(
    product: Product, clients: int, seconds: float, *, conversations: bool = False
) -> dict[str, Any]:
    """p95 without and with a training, in turns; the ratio is that of the medians."""

    def live() -> dict[str, Any]:
        measured = measure_talk if conversations else measure
        return asyncio.run(measured(product, clients, seconds))

    alone: list[dict[str, Any]] = []
    beside: list[dict[str, Any]] = []
    # started once, since that takes longest; it stands still while the live path is measured alone
    with tempfile.TemporaryDirectory() as name, training(Path(name)) as group:
        for _ in range(ROUNDS):
            os.killpg(group, signal.SIGSTOP)
            alone.append(live())
            os.killpg(group, signal.SIGCONT)
            beside.append(live())
        trained = steps(Path(name))
    what, late = ("first_packet_ms", "late_ticks") if conversations else ("round_trip_ms", "late")
    before, during = (median(row[what]["p95"] for row in rows) for rows in (alone, beside))
    return {
        "clients": clients,
        "rounds": ROUNDS,
        "measured": what,
        "alone_p95_ms": before,
        "beside_p95_ms": during,
        "ratio": round(during / before, 2),
        "late_alone": sum(row[late] for row in alone),
        "late_beside": sum(row[late] for row in beside),
        "answers": sum(row.get("answered", 0) for row in (*alone, *beside)),
        "training_steps": trained,
    }
