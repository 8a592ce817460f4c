"""Recordings that people send: bounded, looked into, stored under names of our own."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from apps.training.models import Dataset
from apps.training.paths import dataset_folder
from apps.training.services.datasets import dataset_locked
from apps.training.sniffing import ARCHIVES, HEAD_BYTES, safe_name, sniff
from apps.voice.errors import ServiceError

MAX_FILE_BYTES = 256 << 20
"""One recording (four hours of 16 kHz WAV)."""
MAX_ARCHIVE_BYTES = 2 << 30
MAX_DATASET_BYTES = 20 << 30
MAX_FILES = 50_000
MIN_FREE_BYTES = 1 << 30
"""What an upload leaves free on the disk."""
_BLOCK = 1 << 20


@dataclass(slots=True)
class Received:
    """What became of one uploaded file: how many recordings it held, and what of it was left out and why."""

    name: str
    files: int = 0
    bytes: int = 0
    left_out: list[dict[str, str]] = field(default_factory=list)


def upload_store(*, dataset_id: UUID, upload: UploadedFile) -> Received:
    """Add a recording, or an archive of them (zip, tar, tar.gz), to an open dataset.

    Raises:
        ServiceError: unknown_dataset, dataset_closed, too_big, not_audio, disk_full.
    """
    name = str(upload.name or "file")
    head = upload.read(HEAD_BYTES)
    upload.seek(0)
    kind = sniff(head)
    if kind is None:
        words = _("“%(name)s” is neither audio nor an archive") % {"name": name}
        raise ServiceError("not_audio", words, _("send WAV, FLAC, MP3, Ogg, M4A, WebM, or a zip or tar of these"))
    limit = MAX_ARCHIVE_BYTES if kind in ARCHIVES else MAX_FILE_BYTES
    if (upload.size or 0) > limit:
        words = _("“%(name)s” is larger than %(n)d MB") % {"name": name, "n": limit >> 20}
        raise ServiceError("too_big", words, _("cut it, or send it in parts"))
    # Copied outside any transaction: SQLite has one writer, and a gigabyte takes seconds.
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None:
        raise ServiceError("unknown_dataset", _("there is no such dataset"), _("look at the list of datasets"))
    _check_open(dataset)
    folder = dataset_folder(dataset.pk) / "uploads"
    received = Received(name)
    stored: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, upload.size or 0)
        if kind in ARCHIVES:
            _unpack(upload, kind, folder, dataset, received, stored)
        else:
            _keep(upload, folder / safe_name(name, kind), received, stored)
        if not received.files:
            words = _("“%(name)s” holds no recording") % {"name": name}
            raise ServiceError("not_audio", words, _("send WAV, FLAC, MP3, Ogg, M4A or WebM"))
        _note(dataset_id, received)
    except BaseException as error:
        for path in stored:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            words = _("it cannot be stored: %(why)s") % {"why": error.strerror or error}
            raise ServiceError("disk_full", words, _("free some space, then send it again")) from None
        raise
    return received


@transaction.atomic
def _note(dataset_id: UUID, received: Received) -> None:
    dataset = dataset_locked(dataset_id)
    _check_open(dataset)
    dataset.files += received.files
    dataset.bytes += received.bytes
    dataset.status = Dataset.Status.OPEN
    dataset.message = ""
    dataset.full_clean()
    dataset.save()


def _check_open(dataset: Dataset) -> None:
    if dataset.status == Dataset.Status.INGESTING:
        raise ServiceError("dataset_closed", _("this dataset is being ingested"), _("wait until that is over"))
    if dataset.files >= MAX_FILES or dataset.bytes >= MAX_DATASET_BYTES:
        raise ServiceError("too_big", _("this dataset is full"), _("make another one"))


def _check_room(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + MIN_FREE_BYTES:
        raise ServiceError("disk_full", _("the disk is full"), _("free some space, then send it again"))


def _keep(source: Any, target: Path, received: Received, stored: list[Path]) -> None:
    """Copy one recording to `target`, whole or not at all, and count it."""
    partial = target.with_name(f".{target.name}")
    written = 0
    try:
        with partial.open("wb") as sink:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > MAX_FILE_BYTES:
                    raise ServiceError("too_big", _("“%(name)s” is larger than it says") % {"name": target.name})
                sink.write(block)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    stored.append(target)
    received.files += 1
    received.bytes += written


def _unpack(
    upload: UploadedFile, kind: str, folder: Path, dataset: Dataset, received: Received, stored: list[Path]
) -> None:
    """Take the recordings out of an archive: never by its own paths, never more than the limits whatever it claims."""
    if upload.file is None:
        return
    try:
        for name, size, source in _members(upload.file, kind):
            with closing(source):
                head = source.read(HEAD_BYTES)
                found = sniff(head)
                if found is None or found in ARCHIVES:
                    received.left_out.append({"file": name[:200], "why": str(_("no audio"))})
                    continue
                if dataset.files + received.files >= MAX_FILES:
                    raise ServiceError("too_big", _("more than %(n)d recordings") % {"n": MAX_FILES})
                if size > MAX_FILE_BYTES or dataset.bytes + received.bytes + size > MAX_DATASET_BYTES:
                    received.left_out.append({"file": name[:200], "why": str(_("too large"))})
                    continue
                _check_room(folder, size)
                _keep(_Joined(head, source), folder / safe_name(name, found), received, stored)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        words = _("the archive “%(name)s” is damaged: %(why)s") % {"name": received.name, "why": error}
        raise ServiceError("bad_archive", words, _("make it again and send it once more")) from None


def _members(file: IO[bytes], kind: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, claimed size and content of each regular file of an archive."""
    if kind == "zip":
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if not info.is_dir() and not info.filename.startswith("__MACOSX/"):
                    yield info.filename, info.file_size, archive.open(info)
        return
    with tarfile.open(fileobj=file, mode="r:gz" if kind == "tar.gz" else "r:") as archive:
        for member in archive:
            if member.isreg() and (content := archive.extractfile(member)) is not None:
                yield member.name, member.size, content


class _Joined:
    """What was read ahead, then the rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(size)
