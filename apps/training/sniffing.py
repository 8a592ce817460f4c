"""What an uploaded file is, by its first bytes: a name or a content type proves nothing."""

from __future__ import annotations

import re
import secrets
import unicodedata
from pathlib import PurePosixPath
from typing import Literal

HEAD_BYTES = 512
Sniffed = Literal["wav", "flac", "ogg", "mp3", "m4a", "webm", "zip", "tar", "tar.gz"]
ARCHIVES: frozenset[str] = frozenset({"zip", "tar", "tar.gz"})
_UNSAFE = re.compile(r"[^\w.\-]+", re.ASCII)


def sniff(head: bytes) -> Sniffed | None:
    """The kind of a file that begins with `head` (512 bytes, or the whole file); None: neither audio nor an archive."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)):
        return "mp3"
    if head[4:8] == b"ftyp":
        return "m4a"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[:2] == b"\x1f\x8b":
        return "tar.gz"
    if head[257:262] == b"ustar":
        return "tar"
    return None


def safe_name(name: str, kind: str) -> str:
    """A name of our own for a file: what is left of the given one in ASCII, something random, and what it really is."""
    stem = PurePosixPath(name.replace("\\", "/")).name
    stem = stem.rpartition(".")[0] or stem
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    cleaned = _UNSAFE.sub("-", ascii_stem).strip("-.")[:60]
    return f"{cleaned or 'clip'}-{secrets.token_hex(4)}.{kind}"
