"""Events that the server sends: their names, and the fields that each one always has.

Only names of the GA protocol: pipecat's receive loop ends at an event that it does not know.
"""

from __future__ import annotations

import secrets
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, get_args

ServerEventType: TypeAlias = Literal[
    "error",
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]

_PART = ("response_id", "item_id", "output_index", "content_index")
FIELDS: dict[ServerEventType, tuple[str, ...]] = {
    "error": ("error",),
    "session.created": ("session",),
    "session.updated": ("session",),
    "input_audio_buffer.speech_started": ("audio_start_ms", "item_id"),
    "input_audio_buffer.speech_stopped": ("audio_end_ms", "item_id"),
    "input_audio_buffer.timeout_triggered": ("audio_start_ms", "audio_end_ms", "item_id"),
    "input_audio_buffer.committed": ("previous_item_id", "item_id"),
    "input_audio_buffer.cleared": (),
    "conversation.item.added": ("previous_item_id", "item"),
    "conversation.item.done": ("previous_item_id", "item"),
    "conversation.item.retrieved": ("item",),
    "conversation.item.truncated": ("item_id", "content_index", "audio_end_ms"),
    "conversation.item.deleted": ("item_id",),
    "conversation.item.input_audio_transcription.completed": ("item_id", "content_index", "transcript", "usage"),
    "response.created": ("response",),
    "response.output_item.added": ("response_id", "output_index", "item"),
    "response.content_part.added": (*_PART, "part"),
    "response.output_audio.delta": (*_PART, "delta"),
    "response.output_audio.done": _PART,
    "response.output_audio_transcript.delta": (*_PART, "delta"),
    "response.output_audio_transcript.done": (*_PART, "transcript"),
    "response.content_part.done": (*_PART, "part"),
    "response.output_item.done": ("response_id", "output_index", "item"),
    "response.done": ("response",),
}
"""What each event carries beside ``event_id`` and ``type``; the property tests hold every event to it."""
assert set(FIELDS) == set(get_args(ServerEventType))


class Content(TypedDict, total=False):
    """A part of an item's content. ``audio`` itself is not kept: it went over the wire once."""

    type: Literal["input_text", "input_audio", "output_text", "output_audio", "audio", "text"]
    text: str
    audio: str | None
    transcript: str | None


class Item(TypedDict):
    """A message of the conversation."""

    id: str
    object: Literal["realtime.item"]
    type: Literal["message"]
    status: Literal["in_progress", "completed", "incomplete"]
    role: Literal["user", "assistant", "system"]
    content: list[Content]


class Emit(Protocol):
    """Sends one event, in order; never waits."""

    def __call__(self, kind: ServerEventType, /, **fields: Any) -> None: ...


def new_id(kind: Literal["event", "item", "resp", "sess", "conv"]) -> str:
    """A fresh id in the protocol's manner."""
    return f"{kind}_{secrets.token_hex(10)}"
