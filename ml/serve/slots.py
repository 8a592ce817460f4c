"""Slots: which live session owns which row of the batch, and what waits in its queue."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ml.serve.wire import FRAME_MS, AudioUp

FRAME_NS = FRAME_MS * 1_000_000


@dataclass(slots=True)
class Frame:
    """One queued 20 ms frame with what held when it arrived."""

    audio: AudioUp
    quantizers: int
    arrived_ns: int
    due_ns: int
    """When its output must have left: a frame that comes in a burst is due as if it had come in time."""


@dataclass(slots=True, eq=False)
class Session:
    """A live session in a slot. Changed only under the engine's lock."""

    row: int
    quantizers: int
    queue_frames: int
    model: Any = None
    """What serves this session: the newest one that was loaded when it began."""
    talk: bool = False
    answering: bool = False
    """An answer is being spoken (mode ``talk``)."""
    orders: deque[Any] = field(default_factory=deque)
    """Changes of a conversation that the device thread has to make."""
    generation: int = 0
    dropped: int = 0
    fresh: bool = True
    """The row still holds the state of whoever had it before; the engine resets it before the first step."""
    closed: bool = False
    queue: deque[Frame] = field(default_factory=deque)
    _last_due_ns: int = 0

    def push(self, audio: AudioUp, now_ns: int) -> int:
        """Queue a frame; returns how many were dropped for it (the oldest go first, a stale one goes itself).

        In a conversation no frame is stale: an interruption makes what was answered old, not what is being said.
        """
        if audio.generation < self.generation and not self.talk:
            return 1
        overflow = 0
        while len(self.queue) >= self.queue_frames:
            self.queue.popleft()
            overflow += 1
        # A client whose clock runs fast would push its deadlines out without end: they stay within the queue's length.
        start = min(max(now_ns, self._last_due_ns), now_ns + self.queue_frames * FRAME_NS)
        self._last_due_ns = start + FRAME_NS
        self.queue.append(Frame(audio, self.quantizers, now_ns, self._last_due_ns))
        self.dropped += overflow
        return overflow

    def raise_generation(self, generation: int) -> int:
        """Make ``generation`` current and forget queued frames of older ones; returns how many."""
        self.generation = max(self.generation, generation)
        if self.talk:
            return 0
        kept = [frame for frame in self.queue if frame.audio.generation >= self.generation]
        gone = len(self.queue) - len(kept)
        self.queue = deque(kept)
        return gone


class SlotTable:
    """A fixed number of rows, each free or owned by one session."""

    def __init__(self, capacity: int, queue_frames: int) -> None:
        if capacity < 1 or queue_frames < 1:
            raise ValueError(f"capacity and queue_frames must be at least 1, got {capacity} and {queue_frames}")
        self.capacity = capacity
        self._queue_frames = queue_frames
        self._sessions: list[Session | None] = [None] * capacity

    @property
    def active(self) -> int:
        return sum(session is not None for session in self._sessions)

    def admit(self, quantizers: int, model: Any = None, *, talk: bool = False) -> Session | None:
        """A session in the lowest free row, or None when all are taken."""
        for row, owner in enumerate(self._sessions):
            if owner is None:
                session = Session(row, quantizers, self._queue_frames, model, talk)
                self._sessions[row] = session
                return session
        return None

    def release(self, session: Session) -> None:
        """Free the row at once; doing it twice is harmless, also when the row has a new owner."""
        session.closed = True
        session.queue.clear()
        session.orders.clear()
        if self._sessions[session.row] is session:
            self._sessions[session.row] = None

    def waiting(self) -> list[Session]:
        """Sessions with at least one frame in the queue, by row."""
        return [session for session in self._sessions if session is not None and session.queue]

    def ordered(self) -> list[Session]:
        """Sessions with an order to be carried out."""
        return [session for session in self._sessions if session is not None and session.orders]

    def sessions(self) -> list[Session]:
        """All there are, by row."""
        return [session for session in self._sessions if session is not None]
