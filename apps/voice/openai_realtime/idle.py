"""``idle_timeout_ms``: who says nothing for so long after an answer was heard is spoken to.

As the GA specification has it (``InputAudioBufferTimeoutTriggered`` and ``ServerVad.idle_timeout_ms`` in
openai-python): the time begins when the last answer's audio has been played, and the empty segment is committed and
answered. Clients do not report what they have played: the clock tells.
"""

from __future__ import annotations

from apps.voice.openai_realtime.clock import now
from apps.voice.openai_realtime.connection import SILENCE_FRAMES, Connection
from apps.voice.openai_realtime.server_events import new_id


class Idle:
    """Since when it has been quiet. Nobody is spoken to before the first answer, nor while somebody waits for one."""

    def __init__(self, connection: Connection) -> None:
        self._it = connection
        self._since: tuple[float, int] | None = None
        """By the clock, and in media time."""

    def watch(self, *, played: bool) -> None:
        """Time passes; ``played``: nothing of an answer is left to be heard."""
        it = self._it
        busy = it.responses.active is not None or it.waiting is not None or it.turns.uttering
        if busy or not played or not it.responses.given:
            self._since = None
            return
        if self._since is None:
            self._since = (now(), it.core.media_ms)
        limit_s = it.config.idle_timeout_s
        if limit_s is not None and now() - self._since[0] >= limit_s:
            self._speak_up(self._since[1])

    def _speak_up(self, since_ms: int) -> None:
        it = self._it
        it.turns.abandon()
        item_id = new_id("item")
        it.out.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=it.client_ms(since_ms),
            audio_end_ms=it.client_ms(it.core.media_ms),
            item_id=item_id,
        )
        it.input.commit()
        it.turns.committed(item_id)
        response = it.responses.create(it.config.output_format)
        it.order_end(response, SILENCE_FRAMES)
