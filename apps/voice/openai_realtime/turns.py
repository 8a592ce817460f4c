"""What the core tells of a turn, as the protocol's events: who speaks, what was committed, what its row is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from uuid import UUID

from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.server_events import Emit, new_id

MOST_UNNAMED = 50


@dataclass(slots=True)
class _Speech:
    """The person is speaking, or has just stopped. ``told``: the client knows of it."""

    item_id: str
    start_ms: int
    told: bool = False
    stopped: bool = False


class Turns:
    """The person's side. Speech over an answer is held back until the answer stops for it, else it never was."""

    def __init__(self, emit: Emit, conversation: Conversation) -> None:
        self._emit = emit
        self._conversation = conversation
        self._speech: _Speech | None = None
        self._asked: deque[str] = deque(maxlen=MOST_UNNAMED)
        self._rows: dict[UUID, str] = {}
        self._last: str | None = None
        """The newest item that waits to be answered."""

    @property
    def speaking(self) -> bool:
        """The client knows of a turn that has not ended."""
        return self._speech is not None and self._speech.told

    @property
    def uttering(self) -> bool:
        """Somebody makes sounds, whatever becomes of them."""
        return self._speech is not None and not self._speech.stopped

    def started(self, at_ms: int, *, hold: bool) -> None:
        """Somebody speaks."""
        if self.uttering and self.speaking:
            return  # told already, before the configuration changed
        self._speech = _Speech(new_id("item"), at_ms)
        if not hold:
            self.tell()

    def tell(self) -> None:
        """What was held back is said now."""
        speech = self._speech
        if speech is not None and not speech.told:
            speech.told = True
            self._emit("input_audio_buffer.speech_started", audio_start_ms=speech.start_ms, item_id=speech.item_id)

    def stopped(self, at_ms: int) -> None:
        """Nobody speaks."""
        speech = self._speech
        if speech is None or speech.stopped:
            return
        if not speech.told:
            self._speech = None  # a backchannel over the answer: it went on
            return
        speech.stopped = True
        at_ms = max(at_ms, speech.start_ms)
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=speech.item_id)

    def abandon(self) -> bool:
        """What is being said counts for nothing; whether something was."""
        speech, self._speech = self._speech, None
        if speech is None or not speech.told:
            return False
        if not speech.stopped:
            self._emit("input_audio_buffer.speech_stopped", audio_end_ms=speech.start_ms, item_id=speech.item_id)
        return True

    def ended(self, start_ms: int, end_ms: int) -> None:
        """What was said is over and will be answered."""
        if self._speech is None:
            self._speech = _Speech(new_id("item"), start_ms)
        self.tell()
        self.stopped(end_ms)
        speech, self._speech = self._speech, None
        assert speech is not None
        self.committed(speech.item_id)
        self.asked_last()

    def committed(self, item_id: str | None = None) -> None:
        """An item of the person's speech."""
        item = self._conversation.message("user", [{"type": "input_audio", "transcript": None}], item_id=item_id)
        self._emit("input_audio_buffer.committed", previous_item_id=self._conversation.last_id, item_id=item["id"])
        self._conversation.add(item)
        self._conversation.done(item)
        self._last = item["id"]

    def waits(self, item_id: str) -> None:
        """An item with audio that the client made waits to be answered."""
        self._last = item_id

    def asked_last(self) -> None:
        """The core has taken the newest item for a question: its row and its caption will follow."""
        self._asked.append(self._last or "")
        self._last = None

    def stored(self, row: UUID) -> None:
        """The core has stored the oldest question."""
        if self._asked:
            self._rows[row] = self._asked.popleft()
            while len(self._rows) > MOST_UNNAMED:
                del self._rows[next(iter(self._rows))]

    def captioned(self, row: UUID) -> str | None:
        """The item that this row's caption is about."""
        return self._rows.pop(row, None)
