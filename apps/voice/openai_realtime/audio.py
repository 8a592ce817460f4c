"""Audio of the protocol's formats from and to the platform's 16 kHz PCM16LE, chunk by chunk.

G.711 by tables made from its definition (ITU-T G.711): mu-law with a bias of 33 on 14 bits, A-law on 13 bits.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

from apps.voice.openai_realtime.errors import RealtimeError

Format = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
Int16 = npt.NDArray[np.int16]
RATES: dict[Format, int] = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
OURS_HZ = 16_000


def _mulaw_table() -> Int16:
    code = ~np.arange(256, dtype=np.int64) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Int16:
    code = np.arange(256, dtype=np.int64) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _inverse(table: Int16) -> npt.NDArray[np.uint8]:
    """For each 16-bit sample (index + 32768) the code whose value lies nearest."""
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.int64)
    borders = (levels[1:] + levels[:-1]) / 2
    return order[np.searchsorted(borders, np.arange(-32_768, 32_768))].astype(np.uint8)


_DECODE: dict[Format, Int16] = {"audio/pcmu": _mulaw_table(), "audio/pcma": _alaw_table()}
_ENCODE = {form: _inverse(table) for form, table in _DECODE.items()}


def bytes_per_second(form: Format) -> int:
    """Of audio in that format."""
    return RATES[form] * (2 if form == "audio/pcm" else 1)


def duration_ms(base64_length: int, form: Format) -> float:
    """About how long that much base64 lasts, before it is decoded."""
    return base64_length * 3 / 4 / bytes_per_second(form) * 1000


def decode_base64(text: str, param: str) -> bytes:
    """Raises :class:`RealtimeError`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RealtimeError(
            f"{param}: not base64 (standard alphabet, padded, no line breaks)", code="invalid_base64", param=param
        ) from None


class Decoder:
    """A client's audio to 16 kHz; keeps the resampler's state and half a sample between chunks."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._stream = soxr.ResampleStream(RATES[form], OURS_HZ, 1, dtype="int16")
        self._odd = b""

    def feed(self, raw: bytes) -> bytes:
        """PCM16LE, 16 kHz."""
        if self.form == "audio/pcm":
            raw = self._odd + raw
            whole = len(raw) - len(raw) % 2
            self._odd = raw[whole:]
            samples = np.frombuffer(raw[:whole], "<i2")
        else:
            samples = _DECODE[self.form][np.frombuffer(raw, np.uint8)]
        if not len(samples):
            return b""
        return np.asarray(self._stream.resample_chunk(samples), "<i2").tobytes()

    def flush(self) -> bytes:
        """What the resampler holds back; then it starts anew."""
        rest = np.asarray(self._stream.resample_chunk(np.zeros(0, np.int16), last=True), "<i2").tobytes()
        self._stream.clear()
        self._odd = b""
        return rest


class Encoder:
    """16 kHz PCM16LE of one answer to a client's format."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._stream = soxr.ResampleStream(OURS_HZ, RATES[form], 1, dtype="int16")

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Audio in the client's format; with ``last`` also what the resampler held back."""
        samples = np.asarray(self._stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.int16), last=last))
        if self.form == "audio/pcm":
            return samples.astype("<i2").tobytes()
        return _ENCODE[self.form][samples.astype(np.int64) + 32_768].tobytes()


def in_base64(raw: bytes) -> str:
    """As it goes into an event."""
    return base64.b64encode(raw).decode("ascii")
