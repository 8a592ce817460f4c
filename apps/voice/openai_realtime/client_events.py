"""Events that a client sends, as a union discriminated by ``type``. Unknown fields pass: newer clients send more."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.session import SessionPatch

MAX_APPEND_BASE64 = 15 * 1024 * 1024
"""What the protocol allows in one event."""
Id = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Text = Annotated[str, Field(max_length=100_000)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_Event):
    """Merge into the session's configuration."""

    type: Literal["session.update"]
    session: SessionPatch


class Append(_Event):
    """Audio in the session's input format, base64; not acknowledged."""

    type: Literal["input_audio_buffer.append"]
    audio: Annotated[str, Field(max_length=MAX_APPEND_BASE64)]


class Commit(_Event):
    """What was appended becomes an item."""

    type: Literal["input_audio_buffer.commit"]


class Clear(_Event):
    """What was appended counts for nothing."""

    type: Literal["input_audio_buffer.clear"]


class ContentIn(BaseModel):
    """A part of an item that a client creates."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["input_text", "input_audio", "output_text", "output_audio", "text", "audio", "input_image"]
    text: Text | None = None
    audio: str | None = None
    transcript: Text | None = None


class ItemIn(BaseModel):
    """An item that a client creates."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Id | None = None
    type: Literal["message", "function_call", "function_call_output"]
    role: Literal["user", "assistant", "system"] | None = None
    content: Annotated[list[ContentIn], Field(max_length=64)] = []


class ItemCreate(_Event):
    """Put an item into the conversation, behind ``previous_item_id`` (``root``: first) or last."""

    type: Literal["conversation.item.create"]
    previous_item_id: Id | None = None
    item: ItemIn


class ItemRetrieve(_Event):
    """Ask for an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: Id


class ItemTruncate(_Event):
    """Of an answer only so much was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: Annotated[int, Field(ge=0)] = 0
    audio_end_ms: Annotated[int, Field(ge=0)]


class ItemDelete(_Event):
    """Remove an item."""

    type: Literal["conversation.item.delete"]
    item_id: Id


class ResponseIn(BaseModel):
    """Wishes for one response."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    conversation: str | None = None
    metadata: Metadata | None = None
    output_modalities: list[Literal["audio", "text"]] | None = None
    input: list[Any] | None = None


class ResponseCreate(_Event):
    """Answer what was said."""

    type: Literal["response.create"]
    response: ResponseIn | None = None


class ResponseCancel(_Event):
    """Stop the answer."""

    type: Literal["response.cancel"]
    response_id: Id | None = None


ClientEvent: TypeAlias = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)
_adapter: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])


def parse(text: str) -> ClientEvent:
    """A client's event. Raises :class:`RealtimeError`."""
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # the latter: half a surrogate pair
        raise RealtimeError(f"not JSON: {error}; send one JSON object per message", code="invalid_json") from None
    given = value.get("event_id") if isinstance(value, dict) else None
    event_id = given if isinstance(given, str) and len(given) <= 512 else None
    try:
        return _adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"][1:])
        if first["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type") and not path:
            known = "one of the client events in docs/openai-realtime.md"
            raise RealtimeError(
                f"type: must be {known}", code="invalid_event", param="type", event_id=event_id
            ) from None
        code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
        message = f"{path or 'event'}: {first['msg'].removeprefix('Value error, ')}"
        raise RealtimeError(message, code=code, param=path or None, event_id=event_id) from None
