"""Native wire protocol v1, browser <-> web (``/ws/voice/``): every message type, and nothing that does I/O.

JSON text frames are discriminated by ``type`` (:mod:`.client`, :mod:`.server`); audio travels in binary frames
(:mod:`.frames`) of a 13-byte little-endian header and PCM16LE at 16 kHz mono, or Opus where both agreed on it.
``docs/protocol.md`` has the words; ``tests/contract/wire_vectors.json`` is the table of bytes that this package and
``frontend/static/voice/protocol.js`` are both tested against.

Everything a peer sends wrong becomes a :class:`ProtocolFault` that names its :class:`ErrorCode`.
"""

from __future__ import annotations

from apps.voice.protocol.client import (
    DIALS,
    ClientMessage,
    Configure,
    End,
    Forget,
    Hello,
    Interrupt,
    Key,
    Ping,
    Played,
    parse_client_message,
)
from apps.voice.protocol.faults import (
    CLOSE_NORMAL,
    ErrorCode,
    ProtocolFault,
)
from apps.voice.protocol.fields import (
    Codec,
    KeepAudio,
    Mode,
    TurnTaking,
)
from apps.voice.protocol.frames import (
    HEADER,
    AudioFrame,
    FrameKind,
    pack_audio,
    parse_audio_down,
    parse_audio_up,
)
from apps.voice.protocol.limits import (
    BYTES_PER_MS,
    DOWN_PAYLOAD_MAX,
    DOWN_PAYLOAD_MIN,
    DOWN_PAYLOAD_STEP,
    FRAME_MS,
    FRAME_SAMPLES,
    HELLO_TIMEOUT_S,
    MAX_BINARY_BYTES,
    MAX_OFFENCES,
    MAX_TEXT_BYTES,
    OPUS_MAX_BYTES,
    PROTOCOL_VERSION,
    SAMPLE_RATE,
    U32_MAX,
    UP_PAYLOAD_BYTES,
)
from apps.voice.protocol.server import (
    AnswerEvent,
    Busy,
    Caption,
    ConfigChanged,
    Endpoint,
    ErrorEvent,
    GenerationChanged,
    Limits,
    Notice,
    Pong,
    ServerEvent,
    SessionConfig,
    Speech,
    Stats,
    TurnStored,
    Welcome,
    server_message_adapter,
)

__all__ = [
    "BYTES_PER_MS",
    "CLOSE_NORMAL",
    "DIALS",
    "DOWN_PAYLOAD_MAX",
    "DOWN_PAYLOAD_MIN",
    "DOWN_PAYLOAD_STEP",
    "FRAME_MS",
    "FRAME_SAMPLES",
    "HEADER",
    "HELLO_TIMEOUT_S",
    "MAX_BINARY_BYTES",
    "MAX_OFFENCES",
    "MAX_TEXT_BYTES",
    "OPUS_MAX_BYTES",
    "PROTOCOL_VERSION",
    "SAMPLE_RATE",
    "U32_MAX",
    "UP_PAYLOAD_BYTES",
    "AnswerEvent",
    "AudioFrame",
    "Busy",
    "Caption",
    "ClientMessage",
    "Codec",
    "ConfigChanged",
    "Configure",
    "End",
    "Endpoint",
    "ErrorCode",
    "ErrorEvent",
    "Forget",
    "FrameKind",
    "GenerationChanged",
    "Hello",
    "Interrupt",
    "KeepAudio",
    "Key",
    "Limits",
    "Mode",
    "Notice",
    "Ping",
    "Played",
    "Pong",
    "ProtocolFault",
    "ServerEvent",
    "SessionConfig",
    "Speech",
    "Stats",
    "TurnStored",
    "TurnTaking",
    "Welcome",
    "pack_audio",
    "parse_audio_down",
    "parse_audio_up",
    "parse_client_message",
    "server_message_adapter",
]
