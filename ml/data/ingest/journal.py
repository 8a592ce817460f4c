"""What an ingest has done: a line a file, added when its clips are all there, so that a crash loses nothing."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JOURNAL = "ingested.jsonl"


@dataclass(slots=True)
class FileRow:
    """What came of one file of one source."""

    source: str
    name: str
    sha256: str
    options: str
    """Fingerprint of the options that cut it."""
    speaker: str
    text: str
    split: str
    licence: str
    consent: str
    language: str
    clips: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False
    """It is no longer in its source."""


class Journal:
    """Appended lines; the last one about a file holds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self.rows: dict[tuple[str, str], FileRow] = {}
        self.tries: dict[str, int] = defaultdict(int)
        """sha256 -> times that work on a file was begun and not ended."""
        self._by_content: dict[tuple[str, str], FileRow] = {}
        for line in self._lines():
            if "trying" in line:
                self.tries[str(line["trying"])] += 1
                continue
            try:
                row = FileRow(**line)
            except TypeError:
                continue
            self.tries.pop(row.sha256, None)
            self._hold(row)

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a crash: that file is done again
            if isinstance(row, dict):
                found.append(row)
        return found

    def _hold(self, row: FileRow) -> None:
        key = (row.source, row.name)
        if row.gone:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row
            self._by_content[row.sha256, row.options] = row

    def known(self, sha256: str, options: str) -> FileRow | None:
        """What came of this content under these options before, under whatever name."""
        return self._by_content.get((sha256, options))

    def trying(self, sha256: str) -> None:
        """Note that work on a file begins: a decoder that crashes the process is then known by it."""
        self._append({"trying": sha256})

    def add(self, row: FileRow) -> None:
        """Note what came of a file."""
        self._append({name: getattr(row, name) for name in FileRow.__slots__})
        self._hold(row)

    def _append(self, row: dict[str, Any]) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, ("\n" + json.dumps(row, ensure_ascii=False)).encode())
        finally:
            os.close(handle)
