"""Where audio comes from: one interface over folders, archives, corpora, streamed data sets and addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ml.data.ingest.guard import AUDIO_SUFFIXES, TABLE_SUFFIXES, is_archive, unpack, walk
from ml.data.ingest.tables import Told, read_tables, speaker_by_name
from ml.data.ingest.types import IngestError, IngestOptions, Item, LeftOut

OPENSLR: dict[str, tuple[tuple[str, ...], str]] = {
    "66": (
        tuple(f"https://www.openslr.org/resources/66/{n}" for n in ("te_in_female.zip", "te_in_male.zip")),
        "CC BY-SA 4.0",
    ),
    "103": (
        (
            "https://www.openslr.org/resources/103/Telugu_train.zip",
            "https://www.openslr.org/resources/103/Telugu_test.zip",
        ),
        "MUCS 2021 (see its page)",
    ),
}
"""Number -> (archives, licence)."""


class Source(Protocol):
    """Gives the audio files of one place."""

    @property
    def id(self) -> str:
        """Stable name under which the journal keeps what came of it."""
        ...

    @property
    def whole(self) -> bool:
        """Whether `items` lists everything the source has, so that what is missing was removed there."""
        ...

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        """Audio files, in a fixed order; `work` is a folder of its own for downloads and unpacked files."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder, or one file of it."""

    folder: Path
    options: IngestOptions
    id: str
    whole: bool = True
    only: Path | None = None

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        paths = [self.only] if self.only else list(walk(self.folder, left_out, self.options.max_files))
        told = read_tables(p for p in paths if p.suffix.lower() in TABLE_SUFFIXES)
        for path in paths:
            if path.suffix.lower() in AUDIO_SUFFIXES:
                known = told.get(path.stem, Told())
                yield Item(
                    name=path.relative_to(self.folder).as_posix(),
                    path=path,
                    speaker=known.speaker or speaker_by_name(path),
                    text=known.text,
                    split=known.split,
                )


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A zip or tar: unpacked under guard, then a folder."""

    archive: Path
    options: IngestOptions
    id: str
    whole: bool = True

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        target = work / "unpacked"
        target.mkdir(parents=True, exist_ok=True)
        unpack(self.archive, target, self.options, left_out)
        yield from FolderSource(target, self.options, self.id).items(work, left_out)


@dataclass(frozen=True, slots=True)
class OpenSlrSource:
    """A numbered corpus of OpenSLR: its archives, downloaded once and resumably."""

    number: str
    options: IngestOptions
    id: str
    whole: bool = True

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        from ml.data.ingest.web import download

        urls, licence = OPENSLR[self.number]
        for url in urls:
            archive = download(url, work, self.options)
            inner = work / archive.stem
            inner.mkdir(exist_ok=True)
            for item in ArchiveSource(archive, self.options, self.id).items(inner, left_out):
                yield replace(item, name=f"{archive.stem}/{item.name}", licence=licence)


def open_source(source: str, options: IngestOptions) -> Source:
    """What `source` names: a path (folder, archive, file), `openslr:66`, `hf:NAME[:CONFIG[:SPLIT]]`, an address.

    Common Voice is a folder or archive like any other: its tables name speakers, texts and splits. IngestError for
    what is none of these.
    """
    if match := re.fullmatch(r"openslr:(\d+)", source):
        if match[1] not in OPENSLR:
            raise IngestError(f"OpenSLR {match[1]} is not known here: known are {', '.join(OPENSLR)}; give its folder")
        return OpenSlrSource(match[1], options, source)
    if source.startswith("hf:"):
        from ml.data.ingest.huggingface import HuggingFaceSource

        return HuggingFaceSource.named(source, options)
    if re.match(r"^[a-z][a-z0-9+.-]*://", source, re.IGNORECASE):
        from ml.data.ingest.web import WebSource

        return WebSource.of(source, options)
    path = Path(source)
    if path.is_dir():
        return FolderSource(path, options, f"folder:{path.resolve()}")
    if not path.is_file():
        raise IngestError(f"{source} is neither a file nor a folder nor an address: check the name")
    if is_archive(path):
        return ArchiveSource(path, options, f"archive:{_digest(path)}")
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return FolderSource(path.parent, options, f"file:{_digest(path)}", only=path)
    raise IngestError(f"{source} is no audio file and no archive (.zip, .tar, .tar.gz, …): convert it first")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
