"""What a recording looks like: peaks of its waveform, and its codes as an image."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import soundfile as sf
from django.db.models.fields.files import FieldFile

PEAKS = 160
MAX_PEAKS = 4000
_LOW, _MIDDLE, _HIGH = (29, 35, 80), (14, 124, 116), (242, 165, 38)


def peaks_of(samples: npt.NDArray[np.floating], count: int = PEAKS) -> list[float]:
    """The loudest absolute sample (0..1) of each of `count` equal stretches; fewer for fewer samples.

    Raises ValueError for a count outside 1..4000.
    """
    if not 1 <= count <= MAX_PEAKS:
        raise ValueError(f"count: 1 to {MAX_PEAKS} peaks can be asked for, not {count}")
    if not len(samples):
        return []
    edges = np.linspace(0, len(samples), min(count, len(samples)) + 1).astype(int)[:-1]
    return [round(float(peak), 4) for peak in np.maximum.reduceat(np.abs(samples), edges).clip(0.0, 1.0)]


def audio_peaks(stored: FieldFile, count: int = PEAKS) -> list[float]:
    """Peaks of a stored recording (any format that libsndfile reads; several channels as one)."""
    with stored.storage.open(str(stored.name), "rb") as file:
        samples, _rate = sf.read(io.BytesIO(file.read()), dtype="float32", always_2d=True)
    return peaks_of(np.abs(samples).max(axis=1), count)


def codes_png(codes: npt.NDArray[np.integer]) -> bytes:
    """PNG of codes [levels, frames], one pixel a code, the first level on top; dark 0 to bright 1023."""
    share = codes.astype(np.float32)[..., None] / 1023.0
    low, middle, high = (np.array(colour, np.float32) for colour in (_LOW, _MIDDLE, _HIGH))
    lower = low + (middle - low) * np.minimum(share * 2, 1)
    pixels = np.where(share < 0.5, lower, middle + (high - middle) * (share * 2 - 1)).round().astype(np.uint8)
    height, width = codes.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
