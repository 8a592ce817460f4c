"""What an ingest must never do: leave its folder, be blown up by an archive, reach into the own network."""

from __future__ import annotations

import ipaddress
import socket
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from ml.data.ingest.types import IngestError, IngestOptions, LeftOut

AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".mp3", ".m4a", ".mp4", ".aac", ".ogg", ".oga", ".opus", ".webm", ".mka", ".mkv", ".mov", ".wma",
     ".aiff", ".aif", ".amr", ".3gp", ".caf")
)  # fmt: skip
TABLE_SUFFIXES = frozenset((".tsv", ".csv", ".txt", ".json", ".jsonl"))
"""Lists that name speakers and texts."""
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
BOMB_RATIO = 150
"""Unpacked over packed size that no archive of audio has (a WAV of silence has about 1,000, but is small)."""
BOMB_BYTES = 64 * 2**20
_BLOCK = 1 << 20


def is_archive(path: Path) -> bool:
    """By its name."""
    return path.name.lower().endswith(ARCHIVES)


def within(folder: Path, path: Path) -> bool:
    """Whether `path`, links followed, lies in `folder`."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except (OSError, RuntimeError):  # a broken link, a loop of links
        return False


def walk(folder: Path, left_out: list[LeftOut], limit: int) -> Iterator[Path]:
    """Audio and table files below `folder`, sorted; links and what is no plain file are listed, not followed."""
    count = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or any(parent.is_symlink() for parent in _parents(folder, path)):
            inside = within(folder, path)
            left_out.append(LeftOut(name, "a link" if inside else "a link that leads out of the folder"))
            continue
        if path.is_dir():
            continue
        if not stat.S_ISREG(path.stat().st_mode):
            left_out.append(LeftOut(name, "no plain file"))
            continue
        suffix = path.suffix.lower()
        if suffix not in AUDIO_SUFFIXES and suffix not in TABLE_SUFFIXES:
            left_out.append(LeftOut(name, "no audio file by its name"))
            continue
        count += 1
        if count > limit:
            raise IngestError(f"{folder} has more than {limit} files: raise --max-files, or give a part of it")
        yield path


def _parents(folder: Path, path: Path) -> Iterator[Path]:
    while (path := path.parent) != folder and path != path.parent:
        yield path


def unpack(archive: Path, target: Path, options: IngestOptions, left_out: list[LeftOut]) -> None:
    """Audio and tables of a zip or tar into `target` (existing); unsafe members are listed, bombs refused.

    Raises IngestError for an archive that is damaged, too large, or unpacks to far more than it holds. A member that
    is unpacked already, in its full size, is not unpacked again.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                _unzip(packed, archive, target, options, left_out)
        else:
            with tarfile.open(archive) as rolled:
                _untar(rolled, archive, target, options, left_out)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise IngestError(f"{archive.name} cannot be unpacked ({error}): pack it again as .zip or .tar.gz") from None
    except ValueError as error:  # numbers in headers that cannot be
        if isinstance(error, IngestError):
            raise
        raise IngestError(f"{archive.name} is damaged ({error}): pack it again as .zip or .tar.gz") from None


def _unzip(
    packed: zipfile.ZipFile, archive: Path, target: Path, options: IngestOptions, left_out: list[LeftOut]
) -> None:
    members = [info for info in packed.infolist() if not info.is_dir()]
    if len(members) > options.max_files:
        raise IngestError(f"{archive.name} has {len(members)} files, more than {options.max_files}: split it")
    told = sum(info.file_size for info in members)
    _refuse_bomb(archive, told, options)
    if len({info.header_offset for info in members}) < len(members):
        raise IngestError(f"{archive.name} is refused: its files overlap, as in a zip bomb")
    written = 0
    for info in members:
        mode = info.external_attr >> 16
        kind = (
            "a link"
            if stat.S_ISLNK(mode)
            else "no plain file"
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG)
            else ""
        )
        place = _place(info.filename, target, kind, left_out)
        if place is None:
            continue
        if info.flag_bits & 1:
            left_out.append(LeftOut(info.filename, "encrypted"))
            continue
        try:
            with packed.open(info) as stream:
                written = _copy(stream, place, info.file_size, written, archive, options)
        except zipfile.BadZipFile as error:
            left_out.append(LeftOut(info.filename, f"damaged in the archive ({error})"))


def _untar(
    rolled: tarfile.TarFile, archive: Path, target: Path, options: IngestOptions, left_out: list[LeftOut]
) -> None:
    written, count = 0, 0
    for info in rolled:
        if info.isdir():
            continue
        count += 1
        if count > options.max_files:
            raise IngestError(f"{archive.name} has more than {options.max_files} files: split it")
        _refuse_bomb(archive, written + info.size, options)
        kind = "a link" if info.issym() or info.islnk() else "" if info.isreg() else "no plain file"
        place = _place(info.name, target, kind, left_out)
        stream = rolled.extractfile(info) if place is not None else None
        if place is None or stream is None:
            continue
        with stream:
            written = _copy(stream, place, info.size, written, archive, options)


def _refuse_bomb(archive: Path, unpacked: int, options: IngestOptions) -> None:
    if unpacked > options.max_bytes:
        raise IngestError(
            f"{archive.name} is refused: it unpacks to {unpacked / 2**20:.0f} MiB, more than "
            f"{options.max_bytes / 2**20:.0f}: split it, or raise --max-gib"
        )
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * max(1, archive.stat().st_size):
        raise IngestError(
            f"{archive.name} is refused: {unpacked / 2**20:.0f} MiB out of {archive.stat().st_size / 2**20:.2f} MiB "
            "is what a zip bomb does, not audio"
        )


def _place(name: str, target: Path, kind: str, left_out: list[LeftOut]) -> Path | None:
    """Where a member goes, or None (and why in `left_out`)."""
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.is_absolute() or ".." in plain.parts or ":" in plain.parts[0] or "\0" in name:
        left_out.append(LeftOut(name, "its path leads out of the folder"))
        return None
    if kind:
        left_out.append(LeftOut(name, kind))
        return None
    suffix = plain.suffix.lower()
    if any(part.startswith((".", "__MACOSX")) for part in plain.parts):
        left_out.append(LeftOut(name, "a hidden file"))
        return None
    if suffix not in AUDIO_SUFFIXES and suffix not in TABLE_SUFFIXES:
        left_out.append(LeftOut(name, "no audio file by its name"))
        return None
    place = target.joinpath(*plain.parts)
    if any(len(part.encode()) > 240 for part in plain.parts) or len(plain.parts) > 40:
        left_out.append(LeftOut(name, "its name is too long"))
        return None
    return place


def _copy(stream: IO[bytes], place: Path, told: int, written: int, archive: Path, options: IngestOptions) -> int:
    """Copy with a running bound: what headers tell of sizes may be a lie. Returns bytes written so far."""
    if place.is_file() and place.stat().st_size == told:
        return written + told
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.partial")
    with partial.open("wb") as out:
        while block := stream.read(_BLOCK):
            written += len(block)
            _refuse_bomb(archive, written, options)
            out.write(block)
    partial.replace(place)
    return written


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse what is no plain web address, and hosts that are (also) inside the own network. Raises IngestError.

    This is the friendly check before a start; `ml.data.ingest.fetch` holds every single connection to the same rule.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise IngestError(f"{url} is no web address: give one that begins with https://")
    if parts.username or parts.password:
        raise IngestError("an address with a user name or password is refused: download it yourself, give the folder")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError, UnicodeError) as error:
        raise IngestError(f"{parts.hostname} cannot be found ({error}): check the address and the network") from None
    if not allow_private and (bad := sorted(address for address in found if not is_public(address))):
        raise IngestError(
            f"{url} is refused: {bad[0]} is an address inside a private network; "
            "give a public address, or download it yourself and give the folder"
        )


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
