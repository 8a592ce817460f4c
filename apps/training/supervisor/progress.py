"""JSON rows of progress, read while somebody else appends them."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WINDOW = 30
BLOCK_BYTES = 1 << 20
_OWN = {"step", "total", "seconds", "stage", "note", "result"}


def parse_row(line: bytes | str) -> dict[str, Any] | None:
    """A row with a whole ``step``, or with a ``result``; else None (half a line, something else)."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    good = isinstance(row, dict) and (isinstance(row.get("step"), int) or isinstance(row.get("result"), dict))
    return row if good else None


def metrics_of(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a row that are measurements."""
    return {
        key: float(value)
        for key, value in row.items()
        if key not in _OWN and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


class ProgressReader:
    """Follows a JSONL file: how far, how fast, the last of each metric."""

    def __init__(self, path: Path, total: int = 0) -> None:
        self.path = path
        self.total = total
        self.step = 0
        self.stage = ""
        self.metrics: dict[str, float] = {}
        self.result: dict[str, Any] | None = None
        self._offset = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=WINDOW)

    def read(self) -> bool:
        """Take in what was appended since the last time; whether there was anything."""
        fresh = False
        while True:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._offset)
                    block = file.read(BLOCK_BYTES)
            except OSError:
                return fresh
            whole, newline, _rest = block.rpartition(b"\n")
            if not newline:
                return fresh
            self._offset += len(whole) + 1
            for line in whole.splitlines():
                if (row := parse_row(line)) is not None:
                    self._take(row)
                    fresh = True

    def eta_seconds(self) -> int | None:
        """Seconds left at the pace of the last rows; None while it cannot be told."""
        if len(self._recent) < 2 or not self.total:
            return None
        (first, began), (last, now) = self._recent[0], self._recent[-1]
        if last <= first or now <= began:
            return None
        return round((self.total - last) * (now - began) / (last - first))

    def _take(self, row: dict[str, Any]) -> None:
        if isinstance(row.get("result"), dict):
            self.result = row["result"]
        if not isinstance(row.get("step"), int):
            return
        if row["step"] < self.step:  # resumed from a checkpoint before the last row
            self._recent.clear()
        self.step = max(0, row["step"])
        if isinstance(row.get("total"), int):
            self.total = row["total"]
        if isinstance(row.get("seconds"), int | float):
            self._recent.append((self.step, float(row["seconds"])))
        self.stage = str(row.get("note") or row.get("stage") or "")
        self.metrics |= metrics_of(row)


def columns(path: Path, *, points: int = 800) -> dict[str, list[float | None]]:
    """The file as columns by metric, ``step`` first, for charts: rows that a resumed run wrote again replace the first
    ones, and long runs are thinned to about `points` rows (what stands in few rows, as validation does, all stays)."""
    rows: dict[int, dict[str, float]] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                if (row := parse_row(line)) is None or "step" not in row:
                    continue
                step = row["step"]
                if rows and step <= next(reversed(rows)):
                    for later in [s for s in rows if s >= step]:
                        del rows[later]
                rows[step] = metrics_of(row)
    except OSError:
        pass
    usual = set(next(iter(rows.values()), {}))
    every = max(1, len(rows) // points)
    kept = [(s, r) for n, (s, r) in enumerate(rows.items()) if n % every == 0 or set(r) - usual or n == len(rows) - 1]
    names = _ordered(name for _step, row in kept for name in row)
    return {
        "step": [float(step) for step, _row in kept],
        **{name: [row.get(name) for _step, row in kept] for name in names},
    }


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
