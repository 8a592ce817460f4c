"""Messages of the inference protocol v1, as both sides see them. How they look on the wire: :mod:`ml.serve.encoding`.

Those of a conversation (mode ``talk``) are in :mod:`ml.serve.talk_messages`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from ml.serve.lab_messages import Caption, Captioned, Lab, LabDone, LabPiece, LabUp
from ml.serve.talk_messages import (
    Answer,
    Codes,
    Endpoint,
    Forget,
    History,
    Key,
    Listen,
    Load,
    Loaded,
    LoadFailed,
    TurnCodes,
    TurnTaking,
    Voice,
)

PROTOCOL_VERSION = 1
SAMPLE_RATE = 16_000
FRAME_SAMPLES = 320
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_MS = 20
MAX_QUANTIZERS = 8

Mode: TypeAlias = Literal["reconstruct", "talk"]


class WireError(ValueError):
    """A message that breaks the protocol. ``code`` is short and stable, the text says what is wrong and where."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# --------------------------------------------------------------------------------------------- client -> server


@dataclass(frozen=True, slots=True)
class Open:
    """Ask for a slot. ``preset`` names the codec preset, ``quantizers`` (1..8) how many levels are decoded.

    A conversation (``mode`` talk) may bring its ``voice`` and how it takes turns; see :class:`Set`.
    """

    type: ClassVar[str] = "open"
    mode: Mode = "reconstruct"
    preset: str = "hifi"
    quantizers: int = MAX_QUANTIZERS
    protocol: int = PROTOCOL_VERSION
    voice: Voice | None = None
    turn_taking: TurnTaking | None = None
    endpoint_min_ms: int | None = None
    endpoint_max_ms: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """Change a live session. A higher ``generation`` drops queued input of older ones.

    In a conversation it stops the answer instead, unless ``heard_ms`` is given: then it only confirms an interruption
    that the server told of, and says how much of that answer had been heard. ``voice`` and turn-taking apply from the
    next answer on. The end-point bounds are ms of silence.
    """

    type: ClassVar[str] = "set"
    quantizers: int | None = None
    generation: int | None = None
    heard_ms: int | None = None
    voice: Voice | None = None
    now: bool = False
    """The voice changes at once, in the middle of the answer."""
    turn_taking: TurnTaking | None = None
    endpoint_min_ms: int | None = None
    endpoint_max_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Health check; answered by :class:`Pong` with the same ``id``, with or without a session."""

    type: ClassVar[str] = "ping"
    id: int = 0


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """Ask for :class:`Stats`; needs no session."""

    type: ClassVar[str] = "stats"


@dataclass(frozen=True, slots=True)
class Close:
    """End the session: queued input is finished, then the server closes the connection."""

    type: ClassVar[str] = "close"


@dataclass(frozen=True, slots=True)
class AudioUp:
    """One 20 ms frame from the microphone. ``pcm`` is exactly :data:`FRAME_BYTES` of PCM16LE."""

    seq: int
    timestamp_ms: int
    generation: int
    pcm: bytes


# --------------------------------------------------------------------------------------------- server -> client


@dataclass(frozen=True, slots=True)
class Opened:
    """A slot was given. ``hop`` in samples, ``delay_ms`` by how much the audio that comes back lags the input."""

    type: ClassVar[str] = "opened"
    slot: int
    capacity: int
    sample_rate: int
    hop: int
    frame_samples: int
    delay_ms: float
    models: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Busy:
    """No slot (full, or draining); the server closes the connection after it."""

    type: ClassVar[str] = "busy"
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """Voice activity changed at ``at_ms``, in media time of the session's input."""

    type: ClassVar[str] = "speech"
    event: Literal["started", "stopped"]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of the whole server. Tick figures cover the last few hundred ticks, in ms."""

    type: ClassVar[str] = "stats"
    active: int
    capacity: int
    free: int
    late_ticks: int
    ticks: int
    tick_ms_p50: float
    tick_ms_p95: float
    dropped: int
    uptime_s: float
    models: dict[str, Any] = field(default_factory=dict)
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Draining:
    """The server is going away: it finishes what is queued and takes no more."""

    type: ClassVar[str] = "draining"


@dataclass(frozen=True, slots=True)
class Error:
    """What was wrong; the server closes this connection after it."""

    type: ClassVar[str] = "error"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer to :class:`Ping`."""

    type: ClassVar[str] = "pong"
    id: int


@dataclass(frozen=True, slots=True)
class AudioDown:
    """Audio that came back through the codec, and its codes.

    ``seq``, ``timestamp_ms`` and ``generation`` are those of the up frame that caused it. In a conversation ``seq``
    counts the frames of the answer, ``timestamp_ms`` is the time within it, ``encode_us`` the model's step. ``codes``
    is uint16 [levels, frames]; ``pcm`` is PCM16LE of frames x hop samples, in a conversation the first frame's is
    shorter by the codec's delay. Times are microseconds in the server.
    """

    seq: int
    timestamp_ms: int
    generation: int
    queue_us: int
    encode_us: int
    decode_us: int
    codes: Codes
    pcm: bytes

    @property
    def levels(self) -> int:
        return int(self.codes.shape[0])

    @property
    def frames(self) -> int:
        return int(self.codes.shape[1])

    def __eq__(self, other: object) -> bool:
        # The generated __eq__ would compare the arrays element-wise and fail.
        if not isinstance(other, AudioDown):
            return NotImplemented
        mine, theirs = (
            (m.seq, m.timestamp_ms, m.generation, m.queue_us, m.encode_us, m.decode_us, m.pcm) for m in (self, other)
        )
        return mine == theirs and np.array_equal(self.codes, other.codes)

    def __hash__(self) -> int:
        return hash((self.seq, self.timestamp_ms, self.generation, self.pcm))


ClientMessage: TypeAlias = (
    Open | Set | Ping | StatsRequest | Close | AudioUp | Key | Listen | Forget | History | Load | Lab | Caption | LabUp
)
ServerMessage: TypeAlias = (
    Opened
    | Busy
    | Speech
    | Stats
    | Draining
    | Error
    | Pong
    | AudioDown
    | Endpoint
    | Answer
    | TurnCodes
    | Loaded
    | LoadFailed
    | LabPiece
    | LabDone
    | Captioned
)
Message: TypeAlias = ClientMessage | ServerMessage
