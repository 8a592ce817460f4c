"""Memory and processor time of a process group and its descendants, from /proc; a GPU's memory from nvidia-smi."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class UsageMeter:
    """Looks at a group now and then; the processor's share is since the last look."""

    def __init__(self, group: int, device: str) -> None:
        self._group = group
        self._device = device
        self._last: tuple[float, float] | None = None

    def look(self) -> dict[str, Any]:
        """``memory_mb`` (resident, all processes), ``cpu_percent`` (100 = one core), ``gpu_memory_mb``."""
        pids = _belonging(stats := _stats(), self._group)
        if not pids:
            return {}
        ticks = sum(float(stats[pid][11]) + float(stats[pid][12]) for pid in pids)
        pages = sum(int(stats[pid][21]) for pid in pids)
        now = time.monotonic()
        found: dict[str, Any] = {"device": self._device, "memory_mb": round(pages * _PAGE / 1e6)}
        if self._last is not None and now > self._last[0]:
            share = (ticks - self._last[1]) / _TICKS / (now - self._last[0])
            found["cpu_percent"] = max(0, round(100 * share))
        self._last = (now, ticks)
        if self._device.startswith("cuda") and (used := _gpu_memory(pids)) is not None:
            found["gpu_memory_mb"] = used
        return found


def _stats() -> dict[int, list[str]]:
    """What /proc says of each process, after its name: state, parent, group, …"""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(entry.parent.name)] = entry.read_text().rpartition(")")[2].split()
    return found


def _belonging(stats: dict[int, list[str]], group: int) -> set[int]:
    """The group and what descends from it: torchrun's processes are in groups of their own."""
    found: set[int] = set()
    fresh = {pid for pid, fields in stats.items() if int(fields[2]) == group}
    while fresh:
        found |= fresh
        fresh = {pid for pid, fields in stats.items() if int(fields[1]) in fresh} - found
    return found


def _gpu_memory(pids: set[int]) -> int | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        rows = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()
        return sum(int(memory) for pid, memory in (row.split(",") for row in rows) if int(pid) in pids)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
