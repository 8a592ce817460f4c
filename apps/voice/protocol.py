"""Native wire protocol v1, browser <-> web (``/ws/voice/``): every message type, and nothing that does I/O.

JSON text frames are discriminated by ``type``; audio travels in binary frames of a 13-byte little-endian header
(u8 kind, u32 seq, u32 timestamp_ms, u32 generation) and PCM16LE at 16 kHz mono. ``docs/protocol.md`` has the words;
``tests/contract/wire_vectors.json`` is the table of bytes that this module and ``frontend/static/voice/protocol.js``
are both tested against.

Everything a peer sends wrong becomes a :class:`ProtocolFault` that names its :class:`ErrorCode`.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

PROTOCOL_VERSION = 1
SAMPLE_RATE = 16_000
FRAME_SAMPLES = 320
FRAME_MS = 20
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000

HEADER = struct.Struct("<BIII")
UP_PAYLOAD_BYTES = FRAME_SAMPLES * 2
DOWN_PAYLOAD_MIN = 160
DOWN_PAYLOAD_MAX = 6400
DOWN_PAYLOAD_STEP = 160
MAX_BINARY_BYTES = 8192
MAX_TEXT_BYTES = 16_384

HELLO_TIMEOUT_S = 5.0
MAX_OFFENCES = 5
"""The connection closes with the code of the offence at the fifth one."""

U32_MAX = 0xFFFF_FFFF


class FrameKind(IntEnum):
    """First byte of a binary frame."""

    AUDIO_UP = 0x01
    AUDIO_DOWN = 0x02
    OPUS_UP = 0x03  # reserved, refused in v1
    OPUS_DOWN = 0x04  # reserved, refused in v1


class ErrorCode(StrEnum):
    """What can go wrong on a connection: the ``code`` of an error event, with its WebSocket close code."""

    HELLO_TIMEOUT = "hello_timeout"
    BAD_JSON = "bad_json"
    BAD_MESSAGE = "bad_message"
    BAD_FRAME = "bad_frame"
    FRAME_SIZE = "frame_size"
    OUT_OF_ORDER = "out_of_order"
    TOO_SLOW = "too_slow"
    OVERSIZE = "oversize"
    RESUME_EXPIRED = "resume_expired"
    INFERENCE_LOST = "inference_lost"
    GOING_AWAY = "going_away"
    BUSY = "busy"
    ENDED_BY_OPERATOR = "ended_by_operator"
    HELLO_FIRST = "hello_first"
    LOGIN_REQUIRED = "login_required"

    @property
    def close_code(self) -> int:
        """The WebSocket close code (4xxx: Daphne refuses an application's 1xxx codes other than 1000)."""
        return _CLOSE_CODES[self]

    @property
    def immediate(self) -> bool:
        """True when the first occurrence closes the connection; otherwise it is an offence that is counted."""
        return self not in _OFFENCES


CLOSE_NORMAL = 1000

_CLOSE_CODES: dict[ErrorCode, int] = {
    ErrorCode.HELLO_TIMEOUT: 4001,
    ErrorCode.BAD_JSON: 4002,
    ErrorCode.BAD_MESSAGE: 4003,
    ErrorCode.BAD_FRAME: 4004,
    ErrorCode.FRAME_SIZE: 4005,
    ErrorCode.OUT_OF_ORDER: 4006,
    ErrorCode.TOO_SLOW: 4008,
    ErrorCode.OVERSIZE: 4009,
    ErrorCode.RESUME_EXPIRED: 4010,
    ErrorCode.INFERENCE_LOST: 4011,
    ErrorCode.GOING_AWAY: 4012,
    ErrorCode.BUSY: 4013,
    ErrorCode.ENDED_BY_OPERATOR: 4014,
    ErrorCode.HELLO_FIRST: 4400,
    ErrorCode.LOGIN_REQUIRED: 4401,
}
_OFFENCES = frozenset(
    {ErrorCode.BAD_JSON, ErrorCode.BAD_MESSAGE, ErrorCode.BAD_FRAME, ErrorCode.FRAME_SIZE, ErrorCode.OUT_OF_ORDER}
)


class ProtocolFault(Exception):
    """A peer broke the protocol, or the connection has to end: ``code``, words for people, and what to do."""

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint


# --- binary frames -------------------------------------------------------------------------------------------------


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


# --- JSON, client -> server ----------------------------------------------------------------------------------------

Mode = Literal["reconstruct", "talk"]
TurnTaking = Literal["stream", "turn"]
Slug = Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]{1,50}$")]
Quantizers = Annotated[int, Field(ge=1, le=8)]
U32 = Annotated[int, Field(ge=0, le=U32_MAX)]
SafeInt = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]
"""Integers that survive JavaScript's numbers."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _FromClient(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Hello(_FromClient):
    """First message of a connection, within 5 s."""

    type: Literal["hello"]
    protocol: Literal[1]
    mode: Mode
    turn_taking: TurnTaking = "stream"
    speaker: Slug | None = None
    emotion: Slug | None = None
    quantizers: Quantizers = 8
    codecs: Annotated[list[Annotated[str, Field(max_length=32)]], Field(min_length=1, max_length=8)] = ["pcm16"]
    resume: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    ticket: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    client: Annotated[str, Field(max_length=200)] = ""

    @field_validator("codecs")
    @classmethod
    def _speaks_pcm16(cls, codecs: list[str]) -> list[str]:
        if "pcm16" not in codecs:
            raise ValueError("must contain 'pcm16': version 1 carries nothing else")
        return codecs


class Configure(_FromClient):
    """Change of the running session; absent fields stay as they are."""

    type: Literal["config"]
    speaker: Slug | None = None
    emotion: Slug | None = None
    quantizers: Quantizers | None = None
    turn_taking: TurnTaking | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Configure:
        if not self.model_fields_set - {"type"}:
            raise ValueError("at least one of speaker, emotion, quantizers, turn_taking is needed")
        return self


class Played(_FromClient):
    """Every 250 ms: how much of a generation's audio has left the loudspeaker."""

    type: Literal["played"]
    generation: U32
    played_ms: U32
    buffered_ms: U32
    underruns: U32


class Interrupt(_FromClient):
    """Barge-in: whatever was on its way is stale."""

    type: Literal["interrupt"]


class Ping(_FromClient):
    """Answered by ``pong`` with the same ``id`` and ``t``. ``rtt_ms`` is the client's last measured round trip."""

    type: Literal["ping"]
    id: SafeInt
    t: Finite
    rtt_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] | None = None


class End(_FromClient):
    """The client is done; the server stores what is open and closes with 1000."""

    type: Literal["end"]


ClientMessage = Annotated[Hello | Configure | Played | Interrupt | Ping | End, Field(discriminator="type")]
_client_adapter: TypeAdapter[Hello | Configure | Played | Interrupt | Ping | End] = TypeAdapter(ClientMessage)


def parse_client_message(text: str) -> Hello | Configure | Played | Interrupt | Ping | End:
    """Decode a client's text frame, or raise :class:`ProtocolFault` whose message names the offending field."""
    # Characters first: encoding a text of megabytes only to measure it would itself be the cost to avoid.
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ProtocolFault(ErrorCode.OVERSIZE, f"text frame over the limit of {MAX_TEXT_BYTES} bytes")
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ProtocolFault(ErrorCode.BAD_JSON, f"not JSON: {error}", "send one JSON object per text frame") from None
    if not isinstance(value, dict):
        raise ProtocolFault(ErrorCode.BAD_MESSAGE, f"type: a message is a JSON object, not {type(value).__name__}")
    try:
        return _client_adapter.validate_python(value)
    except ValidationError as error:
        raise ProtocolFault(ErrorCode.BAD_MESSAGE, _describe(error), "see docs/protocol.md") from None


def _describe(error: ValidationError) -> str:
    """One line for the first problem, led by the field's name (the union's tag is no field: dropped)."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return "type: must be one of hello, config, played, interrupt, ping, end"
    words = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path[1:]) or path[0]}: {words}"


# --- JSON, server -> client ----------------------------------------------------------------------------------------


class _FromServer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def wire(self) -> str:
        """The text frame."""
        return self.model_dump_json()


class SessionConfig(BaseModel):
    """What is in force for a session."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    turn_taking: TurnTaking
    speaker: str | None
    emotion: str | None
    quantizers: Quantizers


class Limits(BaseModel):
    """What a client has to keep to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frame_samples: int = FRAME_SAMPLES
    sample_rate: int = SAMPLE_RATE
    max_ahead_ms: int
    resume_seconds: int


class Welcome(_FromServer):
    type: Literal["welcome"] = "welcome"
    protocol: Literal[1] = 1
    session: uuid.UUID
    resume_token: str
    resumed: bool
    generation: U32
    config: SessionConfig
    limits: Limits
    models: dict[str, str]


class ConfigChanged(_FromServer):
    type: Literal["config"] = "config"
    config: SessionConfig


class GenerationChanged(_FromServer):
    type: Literal["generation"] = "generation"
    generation: U32
    reason: Literal["interrupt", "config", "resume"]


class Speech(_FromServer):
    type: Literal["speech"] = "speech"
    event: Literal["started", "stopped"]
    at_ms: U32


class TurnStored(_FromServer):
    type: Literal["turn"] = "turn"
    id: uuid.UUID
    index: int
    role: Literal["user", "assistant"]
    duration_ms: int
    audio_url: str
    output_url: str | None = None
    latency: dict[str, float]


class Stats(_FromServer):
    """Once a second. Times are medians over that second; lost, dropped and late count since the connection began."""

    type: Literal["stats"] = "stats"
    bitrate_bps: int
    encode_ms: float
    decode_ms: float
    queue_ms: float
    server_ms: float
    ahead_ms: float
    lost: int
    dropped: int
    late: int


class Busy(_FromServer):
    type: Literal["busy"] = "busy"
    retry_after_s: float


class Notice(_FromServer):
    type: Literal["notice"] = "notice"
    code: str
    message: str


class ErrorEvent(_FromServer):
    type: Literal["error"] = "error"
    code: ErrorCode
    message: str
    hint: str
    fatal: bool


class Pong(_FromServer):
    type: Literal["pong"] = "pong"
    id: int
    t: float


ServerEvent = (
    Welcome | ConfigChanged | GenerationChanged | Speech | TurnStored | Stats | Busy | Notice | ErrorEvent | Pong
)
server_message_adapter: TypeAdapter[ServerEvent] = TypeAdapter(Annotated[ServerEvent, Field(discriminator="type")])
"""For clients written in Python (tests, the benchmark): ``server_message_adapter.validate_json(text)``."""
