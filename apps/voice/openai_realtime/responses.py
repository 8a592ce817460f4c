"""Responses: one at a time, from ``response.created`` to ``response.done``, whatever happens in between.

create ──► waiting ──begin──► speaking ──────────────► done (completed, incomplete)
              │                   │
              └───────────────────┴── finish(…) ─────► done (cancelled, failed)
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from apps.voice.openai_realtime.audio import Encoder, Format, in_base64
from apps.voice.openai_realtime.clock import now
from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.server_events import Emit, Item, new_id
from apps.voice.protocol import BYTES_PER_MS

TOKEN_MS = 40
"""A frame of the dialogue codec counts as one audio token, of what was said and of the answer."""
Status = Literal["completed", "incomplete", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A turn that has ended and is not answered yet. ``unasked``: the core will do so by itself."""

    turn: int
    question_ms: int
    unasked: bool


@dataclass(slots=True)
class Response:
    """The answer that is being given. ``turn`` is the core's number, None until the core has taken the question."""

    id: str
    encoder: Encoder
    metadata: dict[str, str] | None
    turn: int | None = None
    asked: bool = False
    """The core was told to answer; until then audio still belongs to the question."""
    waited: Waiting | None = None
    """The turn that the core was told to answer, unless the person was speaking after all."""
    item: Item | None = None
    question_ms: int = 0
    pcm: bytearray = field(default_factory=bytearray)
    """16 kHz, as the recogniser wants it."""
    ends_at_ms: int | None = None
    """How long the whole answer is, once the core has told."""
    reason: str = ""
    stirred_at: float = field(default_factory=now)

    @property
    def length_ms(self) -> int:
        return len(self.pcm) // BYTES_PER_MS

    @property
    def complete(self) -> bool:
        """All its audio has come."""
        return self.ends_at_ms is not None and self.length_ms >= self.ends_at_ms - 2


class Responses:
    """The one that is active, if any, and its events. ``transcripts``: answers carry what the recogniser hears."""

    def __init__(self, emit: Emit, conversation: Conversation, *, transcripts: bool) -> None:
        self._emit = emit
        self._conversation = conversation
        self._transcripts = transcripts
        self.active: Response | None = None
        self.given = 0
        """How many there have been."""
        self._idle = asyncio.Event()
        self._idle.set()

    def asked(self) -> None:
        """The core was told to answer the active one."""
        if self.active is not None:
            self.active.asked, self.active.stirred_at = True, now()
            self._idle.clear()

    async def unasked(self) -> None:
        """Wait until audio belongs to a question that nothing answers yet."""
        await self._idle.wait()

    def give(self, waiting: Waiting) -> None:
        """The active one is the answer to that turn."""
        if self.active is not None:
            self.active.turn, self.active.stirred_at = waiting.turn, now()
            self.active.question_ms = self.active.question_ms or waiting.question_ms

    def create(self, form: Format, *, turn: int | None = None, metadata: dict[str, str] | None = None) -> Response:
        """A new one. The caller has seen to it that none is active."""
        assert self.active is None
        self.active = Response(new_id("resp"), Encoder(form), metadata, turn)
        self.given += 1
        self._emit("response.created", response=self._told("in_progress"))
        return self.active

    def begin(self) -> None:
        """Its first audio is about to come."""
        response = self.active
        if response is None or response.item is not None:
            return
        response.stirred_at = now()
        response.item = item = self._conversation.message("assistant", [], status="in_progress")
        self._emit("response.output_item.added", response_id=response.id, output_index=0, item=item)
        self._conversation.add(item)
        self._emit("response.content_part.added", **self._place(response, item), part=self._part(None))

    def audio(self, pcm: bytes) -> None:
        """Some of it."""
        response = self.active
        if response is None:
            return
        self.begin()
        assert response.item is not None
        response.stirred_at = now()
        response.pcm += pcm
        if response.turn is not None:
            self._conversation.spoken(response.item["id"], response.turn, response.length_ms)
        self._delta(response, response.item, response.encoder.feed(pcm))

    def finish(self, status: Status, reason: str = "", *, transcript: str = "", message: str = "") -> None:
        """It is over. ``reason``: turn_detected or client_cancelled, max_output_tokens; of a failure its code."""
        response = self.active
        if response is None:
            return
        item = response.item
        if item is not None:
            if status in ("completed", "incomplete"):
                self._delta(response, item, response.encoder.feed(b"", last=True))
            place = self._place(response, item)
            if transcript:
                self._emit("response.output_audio_transcript.delta", **place, delta=transcript)
            self._emit("response.output_audio.done", **place)
            if self._transcripts:
                self._emit("response.output_audio_transcript.done", **place, transcript=transcript)
            self._emit("response.content_part.done", **place, part=self._part(transcript))
            item["status"] = "completed" if status == "completed" else "incomplete"
            item["content"] = [{"type": "output_audio"}]
            if self._transcripts:
                item["content"][0]["transcript"] = transcript
            self._emit("response.output_item.done", response_id=response.id, output_index=0, item=item)
            self._conversation.done(item)
        details: dict[str, Any] | None = None
        if status == "failed":
            details = {"type": status, "error": {"type": "server_error", "code": reason, "message": message}}
        elif status != "completed":
            details = {"type": status, "reason": reason}
        self._emit("response.done", response=self._told(status, details))
        self.active = None
        self._idle.set()

    # -- inside --------------------------------------------------------------------------------------------

    def _delta(self, response: Response, item: Item, raw: bytes) -> None:
        if raw:
            self._emit("response.output_audio.delta", **self._place(response, item), delta=in_base64(raw))

    def _place(self, response: Response, item: Item) -> dict[str, Any]:
        return {"response_id": response.id, "item_id": item["id"], "output_index": 0, "content_index": 0}

    def _part(self, transcript: str | None) -> dict[str, str]:
        return {"type": "audio", "transcript": transcript or ""} if self._transcripts else {"type": "audio"}

    def _told(self, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self.active
        assert response is not None
        return {
            "id": response.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [] if response.item is None or status == "in_progress" else [response.item],
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "metadata": response.metadata,
            "usage": None if status == "in_progress" else _usage(response),
        }


def _usage(response: Response) -> dict[str, Any]:
    heard, said = math.ceil(response.question_ms / TOKEN_MS), math.ceil(response.length_ms / TOKEN_MS)
    cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    details = {"text_tokens": 0, "audio_tokens": heard, "image_tokens": 0, "cached_tokens": 0}
    return {
        "total_tokens": heard + said,
        "input_tokens": heard,
        "output_tokens": said,
        "input_token_details": {**details, "cached_tokens_details": cached},
        "output_token_details": {"text_tokens": 0, "audio_tokens": said},
    }
