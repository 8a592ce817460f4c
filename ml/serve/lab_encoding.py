"""The codec lab's messages to bytes and back; see :mod:`ml.serve.encoding` for all others."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from ml.serve.fields import JsonObject
from ml.serve.lab_messages import (
    MAX_CAPTION_SAMPLES,
    MAX_LAB_PIECE_BYTES,
    MAX_LAB_SAMPLES,
    Caption,
    Captioned,
    Lab,
    LabDone,
    LabPiece,
    LabUp,
)
from ml.serve.messages import MAX_QUANTIZERS, WireError

_PIECE = struct.Struct("<HH")


def up_body(message: LabUp) -> bytes:
    """Body of a `LabUp`. Raises WireError for a size it may not have."""
    _check_pcm(message.pcm)
    return message.pcm


def up_of(body: memoryview) -> LabUp:
    """A `LabUp` from its body. Raises WireError."""
    _check_pcm(body)
    return LabUp(bytes(body))


def _check_pcm(pcm: bytes | memoryview) -> None:
    if not 0 < len(pcm) <= MAX_LAB_PIECE_BYTES or len(pcm) % 2:
        raise WireError("frame_size", f"a part holds 2 to {MAX_LAB_PIECE_BYTES} bytes of PCM16, got {len(pcm)}")


def piece_body(message: LabPiece) -> bytes:
    """Body of a `LabPiece`."""
    levels, frames = message.codes.shape
    return _PIECE.pack(levels, frames) + np.ascontiguousarray(message.codes, dtype="<u2").tobytes() + message.pcm


def piece_of(body: memoryview) -> LabPiece:
    """A `LabPiece` from its body. Raises WireError."""
    if len(body) < _PIECE.size:
        raise WireError("frame_size", f"a piece needs a header of {_PIECE.size} bytes, got {len(body)}")
    levels, frames = _PIECE.unpack_from(body)
    end = _PIECE.size + 2 * levels * frames
    if not 1 <= levels <= MAX_QUANTIZERS or len(body) < end or (len(body) - end) % 2:
        raise WireError("frame_size", f"a piece of {len(body)} bytes does not hold {levels} x {frames} codes and PCM16")
    codes = np.frombuffer(body[_PIECE.size : end], dtype="<u2").reshape(levels, frames).astype(np.uint16)
    return LabPiece(codes, bytes(body[end:]))


def _lab(obj: JsonObject) -> Lab:
    return Lab(
        preset=obj.text("preset", 64),
        quantizers=obj.integer("quantizers", 1, MAX_QUANTIZERS),
        samples=obj.integer("samples", 1, MAX_LAB_SAMPLES),
    )


def _lab_done(obj: JsonObject) -> LabDone:
    times = ("kbps", "snr_db", "delay_ms", "waited_ms", "encode_ms", "decode_ms")
    return LabDone(hop=obj.integer("hop", 1, 2**32), model=obj.mapping("model"), **{n: obj.number(n) for n in times})


def _caption(obj: JsonObject) -> Caption:
    return Caption(samples=obj.integer("samples", 1, MAX_CAPTION_SAMPLES))


def _captioned(obj: JsonObject) -> Captioned:
    return Captioned(text=obj.text("text", 4096), distance=obj.number("distance"), known=obj.boolean("known"))


LAB_CLIENT: dict[str, Callable[[JsonObject], Lab | Caption]] = {"lab": _lab, "caption": _caption}
LAB_SERVER: dict[str, Callable[[JsonObject], LabDone | Captioned]] = {"lab_done": _lab_done, "captioned": _captioned}
