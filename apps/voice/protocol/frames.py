"""Binary frames of native protocol v1: a header of 13 bytes, then PCM16LE."""

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
    UP_PAYLOAD_BYTES,
)

HEADER = struct.Struct("<BIII")


class FrameKind(IntEnum):
    """First byte of a binary frame."""

    AUDIO_UP = 0x01
    AUDIO_DOWN = 0x02
    OPUS_UP = 0x03  # reserved, refused in v1
    OPUS_DOWN = 0x04  # reserved, refused in v1


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One binary frame. ``payload`` is PCM16LE, 16 kHz, mono; ``timestamp_ms`` is media time."""

    kind: FrameKind
    seq: int
    timestamp_ms: int
    generation: int
    payload: bytes


def parse_audio_up(data: bytes) -> AudioFrame:
    """Decode a client's binary frame (exactly 20 ms of audio), or raise :class:`ProtocolFault`."""
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
    if kind != FrameKind.AUDIO_UP:
        raise ProtocolFault(
            ErrorCode.BAD_FRAME, f"kind 0x{kind:02x} is not one a client may send", "audio_up is kind 0x01"
        )
    payload_bytes = len(data) - HEADER.size
    if payload_bytes != UP_PAYLOAD_BYTES:
        raise ProtocolFault(
            ErrorCode.FRAME_SIZE,
            f"audio_up payload of {payload_bytes} bytes; it must be {UP_PAYLOAD_BYTES}",
            "send 20 ms: 320 samples, PCM16LE, 16 kHz, mono",
        )
    return AudioFrame(FrameKind.AUDIO_UP, seq, timestamp_ms, generation, data[HEADER.size :])


def parse_audio_down(data: bytes) -> AudioFrame:
    """Decode a server's binary frame (for clients and tests), or raise :class:`ProtocolFault`."""
    if len(data) < HEADER.size:
        raise ProtocolFault(ErrorCode.BAD_FRAME, f"binary frame of {len(data)} bytes is shorter than its header")
    kind, seq, timestamp_ms, generation = HEADER.unpack_from(data)
    if kind != FrameKind.AUDIO_DOWN:
        raise ProtocolFault(ErrorCode.BAD_FRAME, f"kind 0x{kind:02x} is not one a server may send")
    _check_down_size(len(data) - HEADER.size)
    return AudioFrame(FrameKind.AUDIO_DOWN, seq, timestamp_ms, generation, data[HEADER.size :])


def pack_audio(frame: AudioFrame) -> bytes:
    """Encode a frame of either direction; raises :class:`ProtocolFault` when its payload has a size no peer accepts."""
    if frame.kind is FrameKind.AUDIO_DOWN:
        _check_down_size(len(frame.payload))
    elif frame.kind is not FrameKind.AUDIO_UP:
        raise ProtocolFault(ErrorCode.BAD_FRAME, f"kind 0x{frame.kind:02x} is reserved in v1")
    elif len(frame.payload) != UP_PAYLOAD_BYTES:
        raise ProtocolFault(ErrorCode.FRAME_SIZE, f"audio_up payload of {len(frame.payload)} bytes")
    return HEADER.pack(frame.kind, frame.seq, frame.timestamp_ms, frame.generation) + frame.payload


def _check_down_size(size: int) -> None:
    if not DOWN_PAYLOAD_MIN <= size <= DOWN_PAYLOAD_MAX or size % DOWN_PAYLOAD_STEP:
        raise ProtocolFault(
            ErrorCode.FRAME_SIZE,
            f"audio_down payload of {size} bytes; it must be {DOWN_PAYLOAD_MIN} to {DOWN_PAYLOAD_MAX} in steps of 5 ms",
        )
