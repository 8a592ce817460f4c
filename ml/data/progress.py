"""Progress of a long command: a bar for people, JSON lines for programs (the training dashboard reads them)."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY = 2.0
"""Seconds between lines for programs."""


class Tell(Protocol):
    """Told how far a piece of work is."""

    def __call__(self, step: int, total: int, stage: str = "", note: str = "", **numbers: float) -> None: ...


def silent(step: int, total: int, stage: str = "", note: str = "", **numbers: float) -> None:
    """Tells nobody."""


class JsonLines:
    """Appends rows `{"step", "total", "seconds", "stage", "note", …}` to a file, a row every few seconds."""

    def __init__(self, path: Path | None) -> None:
        self.file = path.open("a", encoding="utf-8") if path else None
        self.began = time.monotonic()
        self.last = float("-inf")
        self.stage = ""

    def tell(self, step: int, total: int, stage: str = "", note: str = "", **numbers: float) -> None:
        """One row, unless the last one of this stage is only a moment old."""
        now = time.monotonic()
        if stage == self.stage and step < total and now - self.last < EVERY:
            return
        self.last, self.stage = now, stage
        self._write({"step": step, "total": total, "stage": stage, "note": note, **numbers})

    def result(self, result: dict[str, Any]) -> None:
        """The last row."""
        self._write({"result": result})

    def _write(self, row: dict[str, Any]) -> None:
        if self.file is not None:
            row = {**row, "seconds": round(time.monotonic() - self.began, 1)}
            self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self.file.flush()


@contextlib.contextmanager
def shown(jsonl: Path | None = None) -> Iterator[tuple[Tell, JsonLines]]:
    """A progress bar on the terminal and, where asked for, lines in a file."""
    lines = JsonLines(jsonl)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False)),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("", total=None, note="")

        def tell(step: int, total: int, stage: str = "", note: str = "", **numbers: float) -> None:
            bar.update(task, completed=step, total=total, description=stage, note=note)
            lines.tell(step, total, stage, note, **numbers)

        yield tell, lines
    if lines.file is not None:
        lines.file.close()
