"""What people send: taken by what it is, bounded, and never by its own paths."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from apps.training import services
from apps.training.models import Dataset
from apps.training.paths import dataset_folder
from apps.training.services import uploads
from apps.training.sniffing import safe_name, sniff
from apps.voice.errors import ServiceError
from tests.training.conftest import write_tone


@pytest.fixture
def wav(tmp_path: Path) -> bytes:
    return write_tone(tmp_path / "tone.wav").read_bytes()


@pytest.fixture
def empty(db: Any) -> Dataset:
    return services.dataset_create(name="Uploads")


def send(dataset: Dataset, name: str, content: bytes) -> services.Received:
    received = services.upload_store(dataset_id=dataset.pk, upload=SimpleUploadedFile(name, content))
    dataset.refresh_from_db()
    return received


def stored(dataset: Dataset) -> list[Path]:
    folder = dataset_folder(dataset.pk)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refused(dataset: Dataset, name: str, content: bytes) -> str:
    with pytest.raises(ServiceError) as error:
        send(dataset, name, content)
    dataset.refresh_from_db()
    assert (dataset.files, stored(dataset)) == (0, [])
    assert error.value.hint or error.value.code == "too_big"
    return error.value.code


def test_a_recording_is_kept_under_a_name_of_our_own(empty: Dataset, wav: bytes) -> None:
    assert send(empty, "../../etc/నమస్తే hello.mp3", wav).files == 1
    [path] = stored(empty)
    assert path.parent.name == "uploads"
    assert path.name.startswith("hello-")
    assert path.suffix == ".wav"  # what it is, not what it says
    assert path.read_bytes() == wav
    assert (empty.files, empty.bytes, empty.status) == (1, len(wav), "open")


@pytest.mark.parametrize("content", [b"", b"hello", b"<html></html>", b"\x7fELF" + bytes(600), b"MZ" + bytes(600)])
def test_no_audio_is_refused(empty: Dataset, content: bytes) -> None:
    assert refused(empty, "song.mp3", content) == "not_audio"


def test_a_zip_brings_its_recordings_and_names_the_rest(empty: Dataset, wav: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/one.wav", wav)
        archive.writestr("../../../two.wav", wav)
        archive.writestr("/three.wav", wav)
        archive.writestr("notes.txt", "about them")
    received = send(empty, "all.zip", packed.getvalue())
    assert received.files == 3
    assert [row["file"] for row in received.left_out] == ["notes.txt"]
    assert {path.parent for path in stored(empty)} == {dataset_folder(empty.pk) / "uploads"}


def test_a_tar_too_and_its_links_lead_nowhere(empty: Dataset, wav: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("one.wav")
        info.size = len(wav)
        archive.addfile(info, io.BytesIO(wav))
        link = tarfile.TarInfo("two.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert send(empty, "all.tgz", packed.getvalue()).files == 1


def test_an_archive_that_swells_stops_at_the_limit(empty: Dataset, wav: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 1 << 20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.wav", wav[:44] + bytes(32 << 20))
    assert len(packed.getvalue()) < 1 << 20
    assert refused(empty, "all.zip", packed.getvalue()) == "not_audio"  # left out as too large, nothing else in it


def test_a_damaged_archive_leaves_nothing(empty: Dataset, wav: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.wav", wav)
        archive.writestr("two.wav", wav)
    content = bytearray(packed.getvalue())
    content[len(wav) + 2000] ^= 0xFF  # in the second recording: its checksum tells
    assert refused(empty, "all.zip", bytes(content)) == "bad_archive"


def test_a_file_beyond_the_limit(empty: Dataset, wav: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 1000)
    assert refused(empty, "long.wav", wav) == "too_big"


def test_a_disk_without_room(empty: Dataset, wav: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 1 << 60)
    assert refused(empty, "one.wav", wav) == "disk_full"


def test_nothing_is_added_while_it_is_being_ingested(empty: Dataset, wav: bytes) -> None:
    send(empty, "one.wav", wav)
    services.dataset_ingest(dataset_id=empty.pk)
    with pytest.raises(ServiceError) as error:
        send(empty, "two.wav", wav)
    assert error.value.code == "dataset_closed"
    assert len(stored(empty)) == 1


@given(st.text(max_size=80), st.binary(max_size=600))
def test_names_and_contents_of_any_kind_are_survived(name: str, head: bytes) -> None:
    made = safe_name(name, "wav")
    assert made.isascii()
    assert not made.startswith((".", "-"))
    assert "/" not in made
    assert len(made) < 80
    sniff(head)
