"""The items of one conversation, in order. The model remembers what was spoken; these are the client's view of it."""

from __future__ import annotations

from typing import Any

from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.server_events import Content, Emit, Item, new_id

MOST_ITEMS = 500
"""Older ones are forgotten here: a connection may last for hours."""


class Conversation:
    """Adds, finds and removes items, and says so."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._items: dict[str, Item] = {}
        self._heard_ms: dict[str, int] = {}
        """How long the audio of an answer is, by item."""
        self._turns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return next(reversed(self._items), None)

    def add(self, item: Item, previous: str | None = None) -> None:
        """Put an item behind ``previous``, or last; says ``added``. Raises :class:`RealtimeError`."""
        self.check_place(item["id"], previous)
        if len(self._items) >= MOST_ITEMS:
            self._drop(next(iter(self._items)))
        if previous is None or previous == self.last_id or previous not in (*self._items, "root"):
            self._items[item["id"]] = item
        else:
            behind = list(self._items.values())
            at = 0 if previous == "root" else list(self._items).index(previous) + 1
            behind.insert(at, item)
            self._items = {each["id"]: each for each in behind}
        self._emit("conversation.item.added", previous_item_id=self.before(item["id"]), item=item)

    def check_place(self, item_id: str, previous: str | None) -> None:
        """Raises :class:`RealtimeError` where :meth:`add` would."""
        if item_id in self._items:
            raise RealtimeError(f"there is an item {item_id} already", code="item_already_exists", param="item.id")
        if previous not in (None, "root") and previous not in self._items:
            raise RealtimeError(f"no item {previous}", code="item_not_found", param="previous_item_id")

    def before(self, item_id: str) -> str | None:
        """The id of the item before it."""
        ids = list(self._items)
        at = ids.index(item_id) if item_id in self._items else 0
        return ids[at - 1] if at else None

    def done(self, item: Item) -> None:
        """The item is as it will stay."""
        self._emit("conversation.item.done", previous_item_id=self.before(item["id"]), item=item)

    def message(
        self, role: Any, content: list[Content], *, item_id: str | None = None, status: Any = "completed"
    ) -> Item:
        """An item, not yet in the conversation."""
        return Item(
            id=item_id or new_id("item"),
            object="realtime.item",
            type="message",
            status=status,
            role=role,
            content=content,
        )

    def find(self, item_id: str, code: str = "item_not_found") -> Item:
        """Raises :class:`RealtimeError`."""
        found = self._items.get(item_id)
        if found is None:
            raise RealtimeError(f"no item {item_id}", code=code, param="item_id")
        return found

    def retrieve(self, item_id: str) -> None:
        """Say what it is. Raises :class:`RealtimeError`."""
        self._emit("conversation.item.retrieved", item=self.find(item_id, "item_retrieve_invalid_item_id"))

    def delete(self, item_id: str) -> None:
        """Raises :class:`RealtimeError`."""
        self.find(item_id)
        self._drop(item_id)
        self._emit("conversation.item.deleted", item_id=item_id)

    def spoken(self, item_id: str, turn: int, length_ms: int) -> None:
        """An answer to core turn ``turn`` is so long now."""
        if item_id in self._items:
            self._turns[item_id], self._heard_ms[item_id] = turn, length_ms

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> tuple[int, int] | None:
        """Of an answer only so much was heard: a time beyond its end means its end, as clients' clocks differ.

        Returns the core's turn and the milliseconds heard. Raises :class:`RealtimeError`.
        """
        item = self.find(item_id)
        if item["role"] != "assistant":
            raise RealtimeError("only answers can be truncated", param="item_id")
        heard = min(audio_end_ms, self._heard_ms.get(item_id, 0))
        for part in item["content"]:
            if "transcript" in part:
                part["transcript"] = ""  # what of the words was heard, nobody knows
        self._emit("conversation.item.truncated", item_id=item_id, content_index=content_index, audio_end_ms=heard)
        turn = self._turns.get(item_id)
        return None if turn is None else (turn, heard)

    def transcribed(self, item_id: str, text: str) -> None:
        """What was probably said in an item of the person."""
        item = self._items.get(item_id)
        if item is not None and item["content"]:
            item["content"][0]["transcript"] = text
            usage = {"type": "duration", "seconds": 0}
            self._emit(
                "conversation.item.input_audio_transcription.completed",
                item_id=item_id,
                content_index=0,
                transcript=text,
                usage=usage,
            )

    def _drop(self, item_id: str) -> None:
        self._items.pop(item_id, None)
        self._heard_ms.pop(item_id, None)
        self._turns.pop(item_id, None)
