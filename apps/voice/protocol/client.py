"""JSON messages of a client."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from apps.voice.protocol.faults import ErrorCode, ProtocolFault
from apps.voice.protocol.fields import (
    U32,
    EndpointMs,
    Finite,
    KeepAudio,
    Mode,
    Quantizers,
    Rate,
    SafeInt,
    Share,
    Shift,
    Slug,
    TurnTaking,
)
from apps.voice.protocol.limits import MAX_TEXT_BYTES


class _FromClient(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Dials(_FromClient):
    """How answers sound, what is kept, and how long a silence ends a turn; absent ones stay as they are."""

    pitch_semitones: Shift | None = None
    energy_db: Shift | None = None
    rate: Rate | None = None
    accent: Share | None = None
    intensity: Share | None = None
    keep_audio: KeepAudio | None = None
    mix: Slug | Literal[""] | None = None
    mix_share: Share | None = None
    endpoint_min_ms: EndpointMs | None = None
    endpoint_max_ms: EndpointMs | None = None


DIALS = tuple(_Dials.model_fields)


class Hello(_Dials):
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
            raise ValueError("must contain 'pcm16', which every peer speaks")
        return codecs


class Configure(_Dials):
    """Change of the running session; absent fields stay as they are.

    It applies from the next answer on; with ``now`` an answer that is being spoken is cut for it.
    """

    type: Literal["config"]
    mode: Mode | None = None
    speaker: Slug | None = None
    emotion: Slug | None = None
    blend: Slug | Literal[""] | None = None
    quantizers: Quantizers | None = None
    turn_taking: TurnTaking | None = None
    now: bool = False

    @model_validator(mode="after")
    def _changes_something(self) -> Configure:
        if not self.model_fields_set - {"type", "now"}:
            raise ValueError("at least one change is needed, such as speaker, emotion, rate or turn_taking")
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


class Key(_FromClient):
    """Push-to-talk: the key went down or up. ``commit`` has even the shortest turn answered, ``cancel`` drops it."""

    type: Literal["key"]
    event: Literal["press", "release", "commit", "cancel"]


class Forget(_FromClient):
    """The model forgets this conversation; stored turns stay."""

    type: Literal["forget"]


class Ping(_FromClient):
    """Answered by ``pong`` with the same ``id`` and ``t``. ``rtt_ms`` is the client's last measured round trip."""

    type: Literal["ping"]
    id: SafeInt
    t: Finite
    rtt_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] | None = None


class End(_FromClient):
    """The client is done; the server stores what is open and closes with 1000."""

    type: Literal["end"]


ClientMessage: TypeAlias = Hello | Configure | Played | Interrupt | Key | Forget | Ping | End
_client_adapter: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


def parse_client_message(text: str) -> ClientMessage:
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
        return "type: must be one of hello, config, played, interrupt, key, forget, ping, end"
    words = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path[1:]) or path[0]}: {words}"
