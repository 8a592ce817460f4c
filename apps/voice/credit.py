"""The credit window: how much audio may be on its way to a client, given what it says it has played.

Daphne buffers without bound and a browser's WebSocket has no back-pressure, so the window has to be in the protocol:
per generation, audio sent minus audio played stays at or below ``max_ahead_ms``. Pure: the caller brings the clock.
"""

from __future__ import annotations

PATIENCE_S = 4.5
"""How long a client may owe a report: it has to be gone within 5 s, closing included."""


class CreditWindow:
    """The window of one connection. Times are ms of audio; ``now`` is seconds of any monotonic clock."""

    def __init__(self, *, max_ahead_ms: int, patience_s: float = PATIENCE_S) -> None:
        if max_ahead_ms <= 0 or patience_s <= 0:
            raise ValueError("max_ahead_ms and patience_s must be above zero")
        self.max_ahead_ms = max_ahead_ms
        self._patience_s = patience_s
        self.generation = 0
        self.sent_ms = 0
        self._played_ms: int | None = None
        self._first_sent: float | None = None
        self._reported_at: float | None = None
        self._owing_since: float | None = None

    def restart(self, generation: int) -> None:
        """A new generation: nothing of it was sent or played.

        A debt that runs goes on running, or a client could stay silent for ever by interrupting again and again.
        """
        self.generation = generation
        self.sent_ms = 0
        self._played_ms = None
        self._first_sent = None
        self._reported_at = None

    def played_ms(self, now: float) -> float:
        """What counts as played: the last report, and until there is one, what real time allows."""
        if self._played_ms is not None:
            return self._played_ms
        if self._first_sent is None:
            return 0.0
        return min(float(self.sent_ms), max(0.0, (now - self._first_sent) * 1000.0))

    def estimate_ms(self, now: float) -> float:
        """Where the player is by now: its last report, and the time since then as far as there is audio."""
        if self._played_ms is None or self._reported_at is None:
            return self.played_ms(now)
        return min(float(self.sent_ms), self._played_ms + (now - self._reported_at) * 1000.0)

    def ahead_ms(self, now: float) -> float:
        """Audio sent and not known to be played."""
        return self.sent_ms - self.played_ms(now)

    def allows(self, duration_ms: int, now: float) -> bool:
        """Whether that much more audio may be sent now."""
        return self.ahead_ms(now) + duration_ms <= self.max_ahead_ms

    def wait_s(self, duration_ms: int, now: float) -> float | None:
        """Seconds until the clock alone makes room for that much; None when only a report can."""
        if self.allows(duration_ms, now):
            return 0.0
        if self._played_ms is not None:
            return None
        return (self.ahead_ms(now) + duration_ms - self.max_ahead_ms) / 1000.0

    def sent(self, duration_ms: int, now: float) -> None:
        """Audio of this generation left for the client."""
        if self._first_sent is None:
            self._first_sent = now
        if self._owing_since is None:
            self._owing_since = now
        self.sent_ms += duration_ms

    def report(self, generation: int, played_ms: int, now: float) -> None:
        """The client's ``played``. Reports of another generation say nothing about this one, only that it lives.

        Playing more than was sent, or less than before, is not believed.
        """
        if generation != self.generation:
            if self.sent_ms == 0:
                self._owing_since = None
            return
        believed = min(max(played_ms, self._played_ms or 0), self.sent_ms)
        moved = self._played_ms is None or believed > self._played_ms
        self._played_ms = believed
        self._reported_at = now
        if believed == self.sent_ms:
            self._owing_since = None
        elif moved or self.ahead_ms(now) <= self.max_ahead_ms / 2:
            # Standing still with a half-empty window is a jitter buffer that waits for more, not a stalled client.
            self._owing_since = now

    def overdue(self, now: float) -> bool:
        """Whether the client has owed a report for too long: close it as ``too_slow``."""
        return self._owing_since is not None and now - self._owing_since >= self._patience_s
