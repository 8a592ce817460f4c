"""Lists beside audio that tell who speaks and what is said: Common Voice, OpenSLR, and plain metadata tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml.data.ingest.types import Split

_MAX_BYTES = 200 * 2**20
_FILE = ("path", "file", "file_name", "filename", "audio", "clip", "id")
_TEXT = ("sentence", "text", "transcript", "transcription", "normalized", "verbatim")
_SPEAKER = ("client_id", "speaker_id", "speaker", "reader_id", "user_id")
_SPLITS: dict[str, Split] = {"train": "train", "dev": "validation", "validation": "validation", "test": "test"}
_BY_NAME = (
    re.compile(r"^(?P<speaker>\d+)-\d+-\d+$"),  # LibriSpeech: speaker-chapter-utterance
    re.compile(r"^(?P<speaker>\d{5})\d{4}$"),  # speechocean762: SSSSSUUUU
    re.compile(r"^(?P<speaker>te[fm]_\d{5})_\d+$"),  # OpenSLR 66: sex_speaker_utterance
)
_BY_FOLDER = re.compile(r"^(session|speaker|spk|person)[-_].+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """What a table says of one file."""

    speaker: str = ""
    text: str = ""
    split: Split | None = None


def read_tables(paths: Iterable[Path]) -> dict[str, Told]:
    """File name without suffix -> what is told of it; tables that are none are passed over."""
    found: dict[str, Told] = {}
    for path in paths:
        try:
            if path.stat().st_size > _MAX_BYTES:
                continue
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        lines = text.splitlines()
        if not lines:
            continue
        if path.suffix in (".tsv", ".csv"):
            found.update(_table(lines, "\t" if path.suffix == ".tsv" else ",", _SPLITS.get(path.stem.lower())))
        elif path.name.lower() in ("transcription.txt", "text", "transcriptions.txt", "text.txt"):
            found.update(_kaldi(lines))
    return found


def _table(lines: list[str], delimiter: str, split: Split | None) -> dict[str, Told]:
    head = [name.strip().lower() for name in lines[0].split(delimiter)]
    file_column = next((head.index(name) for name in _FILE if name in head), None)
    if file_column is None:  # OpenSLR's line_index.tsv has no head: name, text
        rows = list(csv.reader(lines, delimiter=delimiter))
        plain = [row for row in rows if len(row) == 2 and re.fullmatch(r"[\w./-]+", row[0].strip())]
        return {Path(row[0].strip()).stem: Told(text=row[1].strip()) for row in plain if len(plain) == len(rows)}
    text_column = next((head.index(name) for name in _TEXT if name in head), None)
    speaker_column = next((head.index(name) for name in _SPEAKER if name in head), None)
    found = {}
    as_is = delimiter == "\t"  # Common Voice writes quotes as they are
    for row in csv.reader(lines[1:], delimiter=delimiter, quoting=csv.QUOTE_NONE if as_is else csv.QUOTE_MINIMAL):
        if len(row) <= file_column or not row[file_column].strip():
            continue
        found[Path(row[file_column].strip()).stem] = Told(
            speaker=_cell(row, speaker_column)[:64], text=_cell(row, text_column), split=split
        )
    return found


def _cell(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""


def _kaldi(lines: list[str]) -> dict[str, Told]:
    """`transcription.txt` of OpenSLR 103: name, a space, the text."""
    found = {}
    for line in lines:
        name, _, text = line.strip().partition(" ")
        if name and text:
            speaker = name.split("_")[0] if "_" in name else ""
            found[Path(name).stem] = Told(speaker=speaker, text=text.strip())
    return found


def speaker_by_name(path: Path) -> str:
    """Speaker as the file's or its folder's name tells, "" where it does not."""
    for pattern in _BY_NAME:
        if match := pattern.match(path.stem):
            return match["speaker"]
    return path.parent.name if _BY_FOLDER.match(path.parent.name) else ""
