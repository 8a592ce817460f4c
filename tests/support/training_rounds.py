"""Rounds of killing during training: ``python -m tests.support.training_rounds --rounds 5``.

Starts the product on private Postgres and Redis, trains the tiny codec, and kills the trainer, the worker, Redis and
Postgres, each as often as asked for. Ends with the comparison with an unbroken run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TOLERANCE = 1e-6
"""Of a loss, beside that of the unbroken run at the same step."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for anything")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceplatform.settings.test"

    from tests.support.servers import plan

    servers = plan()
    import django

    django.setup()
    from tests.support.stack import Stack
    from tests.support.training_desk import Desk, losses, trainers_of

    servers.postgres.start()
    servers.redis.start()
    with tempfile.TemporaryDirectory() as name:
        stack = Stack(servers.folder / "stack", servers, contextlib.nullcontext)
        try:
            stack.start()
            desk = Desk(stack, options.patience)
            job = desk.train(desk.ready_dataset(), steps=100_000)
            desk.wait_for(job, lambda row: row.status == "running" and row.step >= 20, "the first steps")
            faults: list[tuple[str, Callable[[], None]]] = [
                ("trainer killed", lambda: desk.kill_trainer(job)),
                ("worker killed", lambda: desk.kill_worker(job)),
                ("Redis restarted", lambda: desk.restart_redis(job, servers)),
                ("Postgres restarted", lambda: desk.restart_postgres(job, servers)),
            ]
            for number in range(1, options.rounds + 1):
                for what, happen in faults:
                    began, before = time.monotonic(), desk.row(job).step
                    happen()
                    seconds, after = time.monotonic() - began, desk.row(job).step
                    print(f"{number}: {what} at step {before}, at step {after} after {seconds:.1f} s", flush=True)
            desk.call("POST", f"jobs/{job}/cancel")
            row = desk.wait_for(job, lambda row: row.status == "cancelled", "it to be cancelled")
            left = len(trainers_of(desk.run_folder(job)))
            rows = desk.call("GET", "jobs")["results"]
            broken = losses(desk.run_folder(job))
            print(f"{len(rows)} job, {row.attempt} starts, {left} trainers left, step {row.step}", flush=True)
            unbroken = desk.unbroken(job, Path(name) / "unbroken", max(broken))
            common = sorted(set(broken) & set(unbroken))
            equal = sum(broken[step] == unbroken[step] for step in common)
            furthest = max(abs(broken[step] - unbroken[step]) for step in common)
            print(
                f"{equal} of {len(common)} logged losses are those of the unbroken run, the last at step {common[-1]}; "
                f"largest difference {furthest:g}"
            )
            kept = row.attempt == options.rounds + 1 and len(rows) == 1 and not left and common[-1] == max(broken)
            return 0 if kept and furthest <= TOLERANCE else 1
        finally:
            stack.stop()


if __name__ == "__main__":
    sys.exit(main())
