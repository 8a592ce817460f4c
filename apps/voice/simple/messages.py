"""Messages of the simple protocol, and the audio in them."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from apps.speakers.aliases import speaker_slug
from apps.voice.protocol import ErrorCode, KeepAudio, Mode, ProtocolFault, TurnTaking

MAX_MESSAGE_BYTES = 1024 * 1024
"""12 s of float32 or 24 s of PCM16, in base64."""
Format = Literal["float32", "pcm16"]


class SimpleConfig(BaseModel):
    """What a client may set; absent fields stay as they are. Speakers go by slug or by a profile's name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mode: Mode | None = None
    turn_taking: TurnTaking | None = None
    speaker: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    emotion: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    quantizers: Annotated[int, Field(ge=1, le=8)] | None = None
    pitch_semitones: Annotated[float, Field(ge=-12, le=12, allow_inf_nan=False)] | None = None
    energy_db: Annotated[float, Field(ge=-12, le=12, allow_inf_nan=False)] | None = None
    rate: Annotated[float, Field(ge=0.5, le=2, allow_inf_nan=False)] | None = None
    accent: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    intensity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    keep_audio: KeepAudio | None = None

    @field_validator("speaker")
    @classmethod
    def _by_slug(cls, name: str | None) -> str | None:
        return None if name is None else speaker_slug(name)

    def wishes(self) -> dict[str, Any]:
        """What is set."""
        return self.model_dump(exclude_none=True)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Audio(_Message):
    """What a person says. ``end``: that was all of it; ``stream``: the answer comes in pieces, else in one."""

    type: Literal["audio"]
    audio: str
    format: Format = "float32"
    sample_rate: Literal[16_000] = 16_000
    end: bool = True
    stream: bool = True
    config: SimpleConfig = SimpleConfig()

    def pcm16(self) -> bytes:
        """PCM16LE. Raises :class:`ProtocolFault`."""
        try:
            raw = base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            raise _bad("audio: not base64", "standard base64 with padding, no line breaks") from None
        if self.format == "pcm16":
            if len(raw) % 2:
                raise _bad(f"audio: {len(raw)} bytes are no whole number of 16-bit samples", "send PCM16LE, mono")
            return raw
        if len(raw) % 4:
            raise _bad(
                f"audio: {len(raw)} bytes are no whole number of 32-bit floats",
                "send little-endian float32, or say format: pcm16",
            )
        samples = np.frombuffer(raw, "<f4")
        if not np.isfinite(samples).all():
            raise _bad("audio: it holds NaN or infinity", "float32 samples lie between -1 and 1; or say format: pcm16")
        return _pcm16(samples)


class Config(_Message):
    """A change of the session."""

    type: Literal["config"]
    config: SimpleConfig


class Interrupt(_Message):
    """Silence the answer."""

    type: Literal["interrupt"]


class Ping(_Message):
    """Answered by ``pong``."""

    type: Literal["ping"]


class End(_Message):
    """The client is done."""

    type: Literal["end"]


SimpleMessage: TypeAlias = Audio | Config | Interrupt | Ping | End
_adapter: TypeAdapter[SimpleMessage] = TypeAdapter(Annotated[SimpleMessage, Field(discriminator="type")])


def parse(text: str) -> SimpleMessage:
    """A client's message. Raises :class:`ProtocolFault`, whose message begins with the field."""
    if len(text) > MAX_MESSAGE_BYTES:
        raise ProtocolFault(ErrorCode.OVERSIZE, f"a message over {MAX_MESSAGE_BYTES} bytes", "send shorter pieces")
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ProtocolFault(ErrorCode.BAD_JSON, f"not JSON: {error}", "send one JSON object per message") from None
    try:
        return _adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
            raise _bad("type: must be one of audio, config, interrupt, ping, end", "see docs/api.md") from None
        path = ".".join(str(part) for part in first["loc"][1:])
        raise _bad(f"{path}: {first['msg'].removeprefix('Value error, ')}", "see docs/api.md") from None


def encode(pcm: bytes, form: Format) -> str:
    """Base64 of PCM16LE in the client's format."""
    raw = pcm if form == "pcm16" else (np.frombuffer(pcm, "<i2") / np.float32(32_768)).astype("<f4").tobytes()
    return base64.b64encode(raw).decode("ascii")


def _pcm16(samples: npt.NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * 32_767).round().astype("<i2").tobytes()


def _bad(message: str, hint: str) -> ProtocolFault:
    return ProtocolFault(ErrorCode.BAD_MESSAGE, message, hint)
