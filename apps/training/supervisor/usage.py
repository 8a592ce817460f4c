"""Memory and processor time of a process group, from /proc; a GPU's memory from nvidia-smi where there is one."""

from __future__ import annotations

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
        pages, ticks, pids = 0, 0.0, set()
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self._group:
                pids.add(int(entry.parent.name))
                ticks += float(fields[11]) + float(fields[12])
                pages += int(fields[21])
        if not pids:
            return {}
        now = time.monotonic()
        found: dict[str, Any] = {"device": self._device, "memory_mb": round(pages * _PAGE / 1e6)}
        if self._last is not None and now > self._last[0]:
            share = (ticks - self._last[1]) / _TICKS / (now - self._last[0])
            found["cpu_percent"] = max(0, round(100 * share))
        self._last = (now, ticks)
        if self._device.startswith("cuda") and (used := _gpu_memory(pids)) is not None:
            found["gpu_memory_mb"] = used
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
