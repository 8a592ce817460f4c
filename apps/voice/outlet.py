"""How audio leaves for a client: as it is, or as Opus. Yields what goes into binary frames, and how long each lasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apps.voice.opus import OpusEncoder
from apps.voice.protocol import BYTES_PER_MS, FRAME_MS, Codec, FrameKind

Piece = tuple[bytes, int]
"""A payload and its milliseconds."""


class Outlet(Protocol):
    """The way down of one connection."""

    kind: FrameKind

    def waiting_ms(self, generation: int) -> float:
        """Audio of ``generation`` that was taken and has not come out yet."""

    def pieces(self, generation: int, pcm: bytes) -> list[Piece]:
        """What leaves for ``pcm`` (PCM16LE, 16 kHz); of nothing, at the end of an answer, what was held back."""


class PcmOutlet:
    """PCM16LE, as it came."""

    kind = FrameKind.AUDIO_DOWN

    def waiting_ms(self, generation: int) -> float:
        return 0.0

    def pieces(self, generation: int, pcm: bytes) -> list[Piece]:
        return [(pcm, len(pcm) // BYTES_PER_MS)] if pcm else []


class OpusOutlet:
    """Packets of 20 ms."""

    kind = FrameKind.OPUS_DOWN

    def __init__(self) -> None:
        self._encoder = OpusEncoder()

    def waiting_ms(self, generation: int) -> float:
        return self._encoder.waiting_ms(generation)

    def pieces(self, generation: int, pcm: bytes) -> list[Piece]:
        packets = self._encoder.encode(generation, pcm) if pcm else self._encoder.finish()
        return [(packet, FRAME_MS) for packet in packets]


def outlet_for(codecs: Sequence[Codec], *, talk: bool) -> Outlet:
    """Opus where it was agreed on and somebody converses.

    One's own voice travels uncompressed: there the ear is to judge TeluCodec, not Opus before and after it.
    """
    return OpusOutlet() if talk and "opus" in codecs else PcmOutlet()
