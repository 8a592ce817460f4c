"""Binary frames of native protocol v1: a header of 13 bytes, then PCM16LE or a packet of Opus."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from apps.voice.protocol.faults import ErrorCode, ProtocolFault
from apps.voice.protocol.limits import (
    DOWN_PAYLOAD_MAX,
    DOWN_PAYLOAD_MIN,
    DOWN_PAYLOAD_STEP,
    MAX_BINARY_BYTES,
    OPUS_MAX_BYTES,
    UP_PAYLOAD_BYTES,
)

HEADER = struct.Struct("<BIII")


class FrameKind(IntEnum):
    """First byte of a binary frame."""

    AUDIO_UP = 0x01
    AUDIO_DOWN = 0x02
    OPUS_UP = 0x03
    OPUS_DOWN = 0x04


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One binary frame. ``payload`` is PCM16LE, 16 kHz, mono, or one Opus packet; ``timestamp_ms`` is media time."""

    kind: FrameKind
    seq: int
    timestamp_ms: int
    generation: int
    payload: bytes


def parse_audio_up(data: bytes) -> AudioFrame:
    """Decode a client's binary frame (exactly 20 ms of audio), or raise :class:`ProtocolFault`.

    That an Opus packet is one, and was agreed on, is for the session to see.
    """
    if len(data) > MAX_BINARY_BYTES:
        raise ProtocolFault(
            ErrorCode.OVERSIZE,
            f"binary frame of {len(data)} bytes; the limit is {MAX_BINARY_BYTES}",
            "send 20 ms frames",
        )
    if len(data) < HEADER.size:
        raise ProtocolFault(
            ErrorCode.BAD_FRAME, f"binary frame of {len(data)} bytes is shorter than its {HEADER.size}-byte header"
        )
    kind, seq, timestamp_ms, generation = HEADER.unpack_from(data)
    if kind not in (FrameKind.AUDIO_UP, FrameKind.OPUS_UP):
        raise ProtocolFault(
            ErrorCode.BAD_FRAME, f"kind 0x{kind:02x} is not one a client may send", "audio_up is kind 0x01"
        )
    _check_size(FrameKind(kind), len(data) - HEADER.size)
    return AudioFrame(FrameKind(kind), seq, timestamp_ms, generation, data[HEADER.size :])


def parse_audio_down(data: bytes) -> AudioFrame:
    """Decode a server's binary frame (for clients and tests), or raise :class:`ProtocolFault`."""
    if len(data) < HEADER.size:
        raise ProtocolFault(ErrorCode.BAD_FRAME, f"binary frame of {len(data)} bytes is shorter than its header")
    kind, seq, timestamp_ms, generation = HEADER.unpack_from(data)
    if kind not in (FrameKind.AUDIO_DOWN, FrameKind.OPUS_DOWN):
        raise ProtocolFault(ErrorCode.BAD_FRAME, f"kind 0x{kind:02x} is not one a server may send")
    _check_size(FrameKind(kind), len(data) - HEADER.size)
    return AudioFrame(FrameKind(kind), seq, timestamp_ms, generation, data[HEADER.size :])


def pack_audio(frame: AudioFrame) -> bytes:
    """Encode a frame of either direction; raises :class:`ProtocolFault` when its payload has a size no peer accepts."""
    _check_size(frame.kind, len(frame.payload))
    return HEADER.pack(frame.kind, frame.seq, frame.timestamp_ms, frame.generation) + frame.payload


def _check_size(kind: FrameKind, size: int) -> None:
    if kind in (FrameKind.OPUS_UP, FrameKind.OPUS_DOWN):
        if not 1 <= size <= OPUS_MAX_BYTES:
            raise ProtocolFault(
                ErrorCode.FRAME_SIZE,
                f"Opus payload of {size} bytes; it must be 1 to {OPUS_MAX_BYTES}",
                "send one Opus packet of 20 ms in each frame",
            )
    elif kind is FrameKind.AUDIO_UP:
        if size != UP_PAYLOAD_BYTES:
            raise ProtocolFault(
                ErrorCode.FRAME_SIZE,
                f"audio_up payload of {size} bytes; it must be {UP_PAYLOAD_BYTES}",
                "send 20 ms: 320 samples, PCM16LE, 16 kHz, mono",
            )
    elif not DOWN_PAYLOAD_MIN <= size <= DOWN_PAYLOAD_MAX or size % DOWN_PAYLOAD_STEP:
        raise ProtocolFault(
            ErrorCode.FRAME_SIZE,
            f"audio_down payload of {size} bytes; it must be {DOWN_PAYLOAD_MIN} to {DOWN_PAYLOAD_MAX} in steps of 5 ms",
        )
