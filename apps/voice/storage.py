"""Files of a turn: FLAC for audio, .npy for codes; written whole or not at all.

Audio is PCM16LE, 16 kHz, mono; codes are uint16 [levels 1..8, frames], values 0..1023, never pickled.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

if TYPE_CHECKING:
    from apps.voice.models import Turn

SAMPLE_RATE = 16_000
MAX_LEVELS = 8
CODEBOOK_SIZE = 1024


def turn_audio_path(turn: Turn, _name: str = "") -> str:
    return _path(turn, "audio.flac")


def turn_output_path(turn: Turn, _name: str = "") -> str:
    return _path(turn, "output.flac")


def turn_codes_path(turn: Turn, _name: str = "") -> str:
    return _path(turn, "codes.npy")


def _path(turn: Turn, name: str) -> str:
    return f"turns/{turn.session_id}/{turn.id}/{name}"


def flac_from_pcm16(pcm: bytes) -> bytes:
    """FLAC of PCM16LE 16 kHz mono, bit for bit the same samples. Raises ValueError for half a sample."""
    if len(pcm) % 2:
        raise ValueError(f"PCM16 of {len(pcm)} bytes ends in half a sample")
    buffer = io.BytesIO()
    sf.write(buffer, np.frombuffer(pcm, dtype="<i2"), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def npy_from_codes(codes: npt.NDArray[Any]) -> bytes:
    """.npy of codes as uint16 [levels, frames]. Raises ValueError for another shape, type or range."""
    if codes.ndim != 2 or not 1 <= codes.shape[0] <= MAX_LEVELS:
        raise ValueError(f"codes need shape [levels 1..{MAX_LEVELS}, frames], got {list(codes.shape)}")
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"codes need an integer type, got {codes.dtype}")
    if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= CODEBOOK_SIZE):
        raise ValueError(f"codes need values 0..{CODEBOOK_SIZE - 1}, got {int(codes.min())}..{int(codes.max())}")
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(codes, dtype="<u2"), allow_pickle=False)
    return buffer.getvalue()


def read_codes(turn: Turn) -> npt.NDArray[np.uint16]:
    """The codes of a turn that has them, uint16 [levels, frames]."""
    with turn.codes.open("rb") as file:
        codes: npt.NDArray[np.uint16] = np.load(io.BytesIO(file.read()), allow_pickle=False)
    return codes


def write_file(name: str, content: bytes) -> str:
    """Store `content`; returns the name it got. Turn ids are random, so that a name is never taken."""
    return default_storage.save(name, ContentFile(content))


def delete_files(names: Iterable[str]) -> None:
    """Remove files, and their folders where these become empty; what is gone already is fine."""
    folders: set[str] = set()
    for name in names:
        default_storage.delete(name)
        folders.add(name.rpartition("/")[0])
    for folder in folders:
        # FileSystemStorage.delete removes an empty folder; one that still holds something stays, as does a parent.
        for path in (folder, folder.rpartition("/")[0]):
            try:
                default_storage.delete(path)
            except OSError:
                break
