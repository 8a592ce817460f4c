"""What else the machine was doing while something was measured: a late tick beside a busy neighbour proves little."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path
from typing import NamedTuple

from ml.serve.wire import parse_address, probe

_TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Processor seconds since the machine and the processes started."""

    machine: float
    """Of all processors, whoever used them, time stolen by the host included."""
    ours: float
    """Of this process and everything that it started and that still runs."""
    stolen: float = 0.0
    """What the host gave to other machines meanwhile."""


def spent() -> Spent:
    """Processor time up to now (Linux); zeros elsewhere."""
    try:
        user, nice, system, _idle, _wait, irq, soft, steal = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
    except (OSError, ValueError):
        return Spent(0.0, 0.0)
    parent: dict[int, int] = {}
    used: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                told = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            # With the time of children that have ended and been waited for.
            parent[int(folder.name)], used[int(folder.name)] = int(told[1]), sum(map(int, told[11:15]))
    me, ours = os.getpid(), 0
    for pid, ticks in used.items():
        above = pid
        while above in parent and above != me:
            above = parent[above]
        ours += ticks if above == me else 0
    return Spent((user + nice + system + irq + soft + steal) / _TICKS, ours / _TICKS, steal / _TICKS)


class Moment(NamedTuple):
    """Counters at one moment."""

    at: float
    """`time.monotonic`."""
    ticks: int
    late: int
    spent: Spent


async def moment(address: str) -> Moment:
    """The server's counters, and who has used the machine."""
    stats = await probe(parse_address(address), 5.0)
    return Moment(time.monotonic(), stats.ticks, stats.late_ticks, spent())


async def watch(address: str, moments: list[Moment]) -> None:
    """Every quarter of a minute the moment that it is."""
    while True:
        moments.append(await moment(address))
        await asyncio.sleep(15.0)


def by_minute(moments: list[Moment]) -> list[dict[str, float]]:
    """For each minute, and what is left at the end: its seconds, ticks, late ones, the processors that were busy with
    neither the product nor this bench, and of these what the host kept to itself.
    """
    every = moments[::4]
    if moments and every[-1] is not moments[-1]:
        every.append(moments[-1])
    return [
        {
            "seconds": round(b.at - a.at, 1),
            "ticks": b.ticks - a.ticks,
            "late_ticks": b.late - a.late,
            "busy_elsewhere": round(
                max(0.0, (b.spent.machine - a.spent.machine) - (b.spent.ours - a.spent.ours)) / (b.at - a.at), 3
            ),
            "stolen": round((b.spent.stolen - a.spent.stolen) / (b.at - a.at), 3),
        }
        for a, b in itertools.pairwise(every)
    ]
