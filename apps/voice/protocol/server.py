"""JSON messages of the server."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from apps.voice.protocol.faults import ErrorCode
from apps.voice.protocol.fields import U32, Codec, KeepAudio, Mode, Quantizers, TurnTaking
from apps.voice.protocol.limits import FRAME_SAMPLES, SAMPLE_RATE


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
    blend: str | None = None
    mix: str | None = None
    mix_share: float = 0.5
    pitch_semitones: float = 0.0
    energy_db: float = 0.0
    rate: float = 1.0
    accent: float | None = None
    intensity: float | None = None
    keep_audio: KeepAudio = "yes"
    endpoint_min_ms: int | None = None
    endpoint_max_ms: int | None = None


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
    codecs: list[Codec] = ["pcm16"]
    """What either side may send from now on, frame by frame as it likes."""


class ConfigChanged(_FromServer):
    type: Literal["config"] = "config"
    config: SessionConfig


class GenerationChanged(_FromServer):
    type: Literal["generation"] = "generation"
    generation: U32
    reason: Literal["interrupt", "barge_in", "config", "resume"]


class Speech(_FromServer):
    type: Literal["speech"] = "speech"
    event: Literal["started", "stopped"]
    at_ms: U32


class Endpoint(_FromServer):
    """What the person said is over; ``waited_ms`` of silence made it certain.

    ``answered`` stays in this process: only adapters have clients that are answered ``later`` than now, once the answer
    that they spoke over is over, or when they have ``asked`` for it.
    """

    type: Literal["endpoint"] = "endpoint"
    turn: int
    start_ms: U32
    end_ms: U32
    waited_ms: U32
    reason: Literal["silence", "released", "too_long"]
    answered: Annotated[Literal["now", "later", "asked"], Field(exclude=True)] = "now"


class AnswerEvent(_FromServer):
    """What happens to the answer to ``turn``. ``reason`` says why it ended or was interrupted."""

    type: Literal["answer"] = "answer"
    turn: int
    event: Literal["started", "ended", "interrupted", "resumed"]
    generation: U32
    at_ms: U32 = 0
    reason: str = ""
    latency: dict[str, float] = {}


class TurnStored(_FromServer):
    """A row of the conversation. Without audio (consent) the addresses are null."""

    type: Literal["turn"] = "turn"
    id: uuid.UUID
    index: int
    role: Literal["user", "assistant"]
    duration_ms: int
    audio_url: str | None
    output_url: str | None = None
    interrupted_at_ms: int | None = None
    speaker: str | None = None
    emotion: str | None = None
    latency: dict[str, float]


class Caption(_FromServer):
    """What was probably said in a stored turn; ``known``: a text of the corpus, else letters by rule."""

    type: Literal["caption"] = "caption"
    turn: uuid.UUID
    text: str
    known: bool


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


ServerEvent: TypeAlias = (
    Welcome
    | ConfigChanged
    | GenerationChanged
    | Speech
    | Endpoint
    | AnswerEvent
    | TurnStored
    | Caption
    | Stats
    | Busy
    | Notice
    | ErrorEvent
    | Pong
)
server_message_adapter: TypeAdapter[ServerEvent] = TypeAdapter(Annotated[ServerEvent, Field(discriminator="type")])
"""For clients written in Python (tests, the benchmark): ``server_message_adapter.validate_json(text)``."""
