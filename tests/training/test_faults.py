"""In the middle of training, one after another: trainer, worker, Redis and Postgres are killed. Real all of it.

Five rounds of each: ``python -m tests.support.training_rounds --rounds 5``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers import Plan
from tests.support.stack import Stack
from tests.support.training_desk import Desk, losses, trainers_of

pytestmark = pytest.mark.integration


def test_no_run_is_lost_or_doubled_and_the_losses_are_those_of_an_unbroken_one(
    stack: Stack, servers: Plan, tmp_path: Path
) -> None:
    desk = Desk(stack)
    job = desk.train(desk.ready_dataset(), steps=100_000)
    desk.wait_for(job, lambda row: row.status == "running" and row.step >= 20, "the first steps")

    desk.kill_trainer(job)
    desk.kill_worker(job)
    desk.restart_redis(job, servers)
    if stack.environment["DATABASE_URL"].startswith("postgres"):
        desk.restart_postgres(job, servers)

    desk.call("POST", f"jobs/{job}/cancel")
    row = desk.wait_for(job, lambda row: row.status == "cancelled", "it to be cancelled")
    assert trainers_of(desk.run_folder(job)) == []
    assert row.attempt == 2  # the one that was killed and the one after it: nothing else started another
    reached = row.step

    desk.call("POST", f"jobs/{job}/resume")
    desk.wait_for(job, lambda row: row.status == "running" and row.step >= reached + 40, "it to go on")
    desk.call("POST", f"jobs/{job}/cancel")
    desk.wait_for(job, lambda row: row.status == "cancelled", "it to be cancelled again")

    broken = losses(desk.run_folder(job))
    last = max(broken)
    unbroken = desk.unbroken(job, tmp_path / "unbroken", last)
    common = sorted(set(broken) & set(unbroken))
    assert len(common) > 5
    assert common[-1] == last
    assert [broken[step] for step in common] == [unbroken[step] for step in common]  # bit for bit, as logged
