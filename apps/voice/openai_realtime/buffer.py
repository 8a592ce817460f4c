"""The input buffer: a client's audio on its way to the session, and what of it is committed, or not yet.

In server VAD the session hears everything as it comes. In manual turns it hears it as it comes, too, so that an answer
can begin at once; what is cleared is taken back by dropping the core's open turn and telling it once more what was
committed before (``again``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from apps.voice.openai_realtime.audio import Decoder, Format, decode_base64, duration_ms
from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.protocol import BYTES_PER_MS, FRAME_MS, UP_PAYLOAD_BYTES

WAITING_MS = 60_000
"""Audio that may wait to be heard: 2 MB."""
TURN_MS = 28_000
"""A turn that the client commits is no longer than that: the core ends one after 30 s by itself."""
SHORTEST_MS = 100
"""As with the original, less is no item."""
Order = Callable[[], None]


class InputBuffer:
    """``queue`` holds 20 ms frames and orders, in order; :meth:`take` hands them out."""

    def __init__(self, form: Format) -> None:
        self._decoder = Decoder(form)
        self._queue: deque[bytes | Order] = deque()
        self._rest = b""
        self._frames = 0
        self.more = asyncio.Event()
        self.pending_ms = 0.0
        """Appended and not committed."""
        self._pending = bytearray()
        self._committed = bytearray()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def waiting_ms(self) -> int:
        """Audio that the session has not heard yet."""
        return self._frames * FRAME_MS

    @property
    def committed_ms(self) -> int:
        """Audio of items that wait to be answered."""
        return len(self._committed) // BYTES_PER_MS

    def change_format(self, form: Format) -> None:
        """From now on audio comes in that format."""
        if form != self._decoder.form:
            self._decoder = Decoder(form)

    def append(self, audio: str, *, manual: bool) -> None:
        """Raises :class:`RealtimeError`; then nothing of it counts."""
        length_ms = duration_ms(len(audio), self._decoder.form)
        if self.waiting_ms + length_ms > WAITING_MS + SHORTEST_MS:
            raise RealtimeError(
                f"audio: more than {WAITING_MS // 1000} s would wait to be heard; send it as fast as it is spoken",
                code="input_audio_buffer_full",
                param="audio",
            )
        if manual and self.committed_ms + self.pending_ms + length_ms > TURN_MS:
            raise _too_long()
        self.put(self._decoder.feed(decode_base64(audio, "audio")), manual=manual)

    def put(self, pcm: bytes, *, manual: bool) -> None:
        """Audio at 16 kHz."""
        self.pending_ms += len(pcm) / BYTES_PER_MS
        if manual:
            self._pending += pcm
        self._feed(pcm)

    def commit(self) -> int:
        """What was appended is an item; its length in ms."""
        length_ms = round(self.pending_ms)
        self._committed += self._pending
        self._pending.clear()
        self.pending_ms = 0.0
        return length_ms

    def add(self, pcm: bytes) -> None:
        """Audio of an item that the client made: 16 kHz, committed as it comes. Raises :class:`RealtimeError`."""
        if self.committed_ms + self.pending_ms + len(pcm) / BYTES_PER_MS > TURN_MS:
            raise _too_long()
        self._committed += pcm
        self._feed(pcm)

    def clear(self) -> bool:
        """What was appended and not committed counts for nothing; whether the session may have heard some of it."""
        heard = bool(self._pending)
        self.pending_ms = 0.0
        self._pending.clear()
        self._decoder = Decoder(self._decoder.form)
        return heard

    def again(self) -> None:
        """Queue what is committed once more, in place of all that waits."""
        self.drop()
        self._feed(bytes(self._committed))

    def drop(self) -> None:
        """Nothing waits any more."""
        self._queue.clear()
        self._frames, self._rest = 0, b""

    def answered(self) -> None:
        """What was committed has got its answer, or is being answered."""
        self._committed.clear()

    def order(self, order: Order, *, silence_frames: int = 0) -> None:
        """Do that once everything before it was heard, and so much silence."""
        if self._rest:
            self._push(self._rest + bytes(UP_PAYLOAD_BYTES - len(self._rest)))
            self._rest = b""
        for _ in range(silence_frames):
            self._push(bytes(UP_PAYLOAD_BYTES))
        self._queue.append(order)
        self.more.set()

    def take(self) -> Iterator[bytes | Order]:
        """What waits, until nothing does."""
        while self._queue:
            entry = self._queue.popleft()
            if isinstance(entry, bytes):
                self._frames -= 1
            yield entry

    def _feed(self, pcm: bytes) -> None:
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % UP_PAYLOAD_BYTES
        for at in range(0, whole, UP_PAYLOAD_BYTES):
            self._push(pcm[at : at + UP_PAYLOAD_BYTES])
        self._rest = pcm[whole:]

    def _push(self, frame: bytes) -> None:
        self._queue.append(frame)
        self._frames += 1
        self.more.set()


def _too_long() -> RealtimeError:
    words = f"audio: a turn lasts at most {TURN_MS // 1000} s; commit it and create a response, or clear it"
    return RealtimeError(words, code="input_audio_buffer_full", param="audio")
