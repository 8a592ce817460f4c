"""What of an answer has been heard by now: clients of this protocol do not report it, so the clock tells."""

from __future__ import annotations


class Playback:
    """Audio of one generation, as if it were played from its first sample on without a break. Times in seconds."""

    def __init__(self) -> None:
        self._sent_ms = 0
        self._base_ms = 0
        self._from = 0.0
        self._told_ms = 0

    def sent(self, length_ms: int, now: float) -> None:
        """So much more left for the client."""
        if self.over(now):  # the loudspeaker was silent: its clock starts here
            self._base_ms, self._from = self._sent_ms, now
        self._sent_ms += length_ms

    def played_ms(self, now: float) -> int:
        """So much of it was heard."""
        return min(self._sent_ms, self._base_ms + round((now - self._from) * 1000))

    def over(self, now: float) -> bool:
        """All of it was heard."""
        return self.played_ms(now) >= self._sent_ms

    def news(self, now: float) -> int | None:
        """The same, if it is more than at the last call that said so."""
        played = self.played_ms(now)
        if played <= self._told_ms:
            return None
        self._told_ms = played
        return played
