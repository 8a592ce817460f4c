"""What a client may rely on, as a state machine over the server's events: any other order is an AssertionError.

created ─► item ─► part ─► (delta …) ─► audio done ─► (transcript done) ─► part done ─► item done ─► response.done
   └────────────────────────────────────────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from typing import Any

from apps.voice.openai_realtime.items import MOST_ITEMS
from apps.voice.openai_realtime.server_events import FIELDS

Event = dict[str, Any]
STATUSES = {"completed", "incomplete", "cancelled", "failed"}
STEPS = {  # event: (stages that it may come in, the stage after it)
    "response.content_part.added": ({"item"}, "part"),
    "response.output_audio.delta": ({"part"}, "part"),
    "response.output_audio_transcript.delta": ({"part"}, "part"),
    "response.output_audio.done": ({"part"}, "audio done"),
    "response.output_audio_transcript.done": ({"audio done"}, "transcript done"),
    "response.content_part.done": ({"audio done", "transcript done"}, "part done"),
    "response.output_item.done": ({"part done"}, "item done"),
}


class ProtocolModel:
    """Feed it every event that the server sent. ``transcripts``: whether answers carry them."""

    def __init__(self, *, transcripts: bool | None = None) -> None:
        self.transcripts = transcripts
        self.created = False
        self.ids: set[str] = set()
        self.items: set[str] = set()
        self.added = 0
        self.awaited: dict[str, str] = {}
        """Items whose ``added`` or ``done`` is to come next, and which."""
        self.active: str | None = None
        self.stage = ""
        self.item: str | None = None
        self.speaking: str | None = None
        self.empty: str | None = None
        """The item of a segment that nobody has said anything in."""
        self.stopped: str | None = None
        self.detection: dict[str, Any] = {}
        """How turns are found, as the client was told; empty when it finds them itself."""
        self.overlaps = False
        """Speech need not stop the response that is active."""
        self.due: list[str] = []
        """Events that come next, and nothing between them."""
        self.done: list[Event] = []
        self.errors: list[Event] = []

    def feed(self, event: Event) -> None:
        kind = event["type"]
        assert kind in FIELDS, f"no such event: {kind}"
        missing = [name for name in FIELDS[kind] if name not in event]
        assert not missing, f"{kind} lacks {missing}"
        assert event["event_id"] not in self.ids, "an event id twice"
        self.ids.add(event["event_id"])
        assert self.created or kind in ("session.created", "error"), f"{kind} before session.created"
        assert "obfuscation" not in event
        assert not self.due or kind == self.due.pop(0), f"{kind} came between"
        if kind in STEPS:
            self._step(kind, event)
        else:
            name = kind.replace(".", "_")
            getattr(self, f"_{name}", lambda _: None)(event)

    # -- session and input ---------------------------------------------------------------------------------

    def _session_created(self, event: Event) -> None:
        assert not self.created
        self.created = True
        self._session_updated(event)

    def _session_updated(self, event: Event) -> None:
        self.detection = event["session"]["audio"]["input"]["turn_detection"] or {}
        self.overlaps |= not self.detection.get("interrupt_response", True)

    def _error(self, event: Event) -> None:
        error = event["error"]
        assert set(error) == {"type", "code", "message", "param", "event_id"}
        assert error["type"] in ("invalid_request_error", "server_error")
        assert error["message"]
        assert error["code"]
        self.errors.append(error)

    def _input_audio_buffer_speech_started(self, event: Event) -> None:
        assert self.speaking is None, "started twice"
        assert self.active is None or self.overlaps, "an answer that was spoken over is over first"
        assert event["audio_start_ms"] >= 0
        self.speaking = event["item_id"]

    def _input_audio_buffer_speech_stopped(self, event: Event) -> None:
        assert event["item_id"] == self.speaking, "what stopped had started"
        self.speaking, self.stopped = None, event["item_id"]

    def _input_audio_buffer_timeout_triggered(self, event: Event) -> None:
        assert self.detection["idle_timeout_ms"], "nobody wished for it"
        assert self.active is None
        assert self.speaking is None
        assert self.done, "before the first answer"
        assert event["audio_start_ms"] <= event["audio_end_ms"]
        item = ["conversation.item.added", "conversation.item.done"]
        self.due = ["input_audio_buffer.committed", *item, "response.created"]
        self.empty = event["item_id"]

    def _input_audio_buffer_committed(self, event: Event) -> None:
        assert self.speaking is None, "committed in the middle of a word"
        assert event["item_id"] not in self.items
        assert self.empty in (None, event["item_id"]), "the empty segment is an item"
        self.empty = None
        self._known(event["previous_item_id"])
        self.awaited[event["item_id"]] = "added"

    # -- items ---------------------------------------------------------------------------------------------

    def _known(self, item_id: str | None) -> None:
        assert item_id is None or item_id in self.items, f"nobody was told of {item_id}"

    def _conversation_item_added(self, event: Event) -> None:
        item = event["item"]
        self._known(event["previous_item_id"])
        assert item["id"] not in self.items or self.added >= MOST_ITEMS, "added twice"
        self.added += 1
        if item["role"] == "assistant" and item["status"] == "in_progress":
            assert self.item == item["id"], "the response tells of its item first"
        self.items.add(item["id"])
        self.awaited[item["id"]] = "done"

    def _conversation_item_done(self, event: Event) -> None:
        item = event["item"]
        assert self.awaited.pop(item["id"]) == "done"
        assert item["status"] != "in_progress"

    def _conversation_item_retrieved(self, event: Event) -> None:
        assert event["item"]["id"] in self.items

    def _conversation_item_truncated(self, event: Event) -> None:
        assert event["item_id"] in self.items

    def _conversation_item_deleted(self, event: Event) -> None:
        assert event["item_id"] in self.items
        self.items.remove(event["item_id"])

    def _conversation_item_input_audio_transcription_completed(self, event: Event) -> None:
        assert self.transcripts is not False
        assert event["item_id"] in self.items

    # -- responses -----------------------------------------------------------------------------------------

    def _response_created(self, event: Event) -> None:
        response = event["response"]
        assert self.active is None, "one response at a time"
        assert (response["status"], response["output"], response["status_details"]) == ("in_progress", [], None)
        self.active, self.stage, self.item = response["id"], "created", None
        self.overlaps = not self.detection.get("interrupt_response", True)

    def _response_output_item_added(self, event: Event) -> None:
        assert (event["response_id"], self.stage) == (self.active, "created")
        assert event["item"]["role"] == "assistant"
        self.item, self.stage = event["item"]["id"], "item"

    def _step(self, kind: str, event: Event) -> None:
        stages, after = STEPS[kind]
        assert event["response_id"] == self.active, f"{kind} of a response that is not active"
        assert self.stage in stages, f"{kind} after {self.stage}"
        assert event.get("item_id", event.get("item", {}).get("id")) == self.item
        if "transcript" in kind:
            assert self.transcripts is not False
        if self.transcripts and kind == "response.content_part.done":
            assert self.stage == "transcript done"
        self.stage = after

    def _response_done(self, event: Event) -> None:
        response = event["response"]
        assert response["id"] == self.active
        assert self.stage in ("created", "item done"), f"done after {self.stage}"
        assert response["status"] in STATUSES
        details = response["status_details"]
        assert (details is None) == (response["status"] == "completed")
        if details is not None:
            assert details["type"] == response["status"]
            assert details.get("reason") or details.get("error")
        assert [item["id"] for item in response["output"]] == ([self.item] if self.item else [])
        usage = response["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert usage["input_token_details"]["audio_tokens"] == usage["input_tokens"]
        assert usage["output_token_details"]["audio_tokens"] == usage["output_tokens"]
        self.done.append(response)
        self.active, self.stage = None, ""
