"""The input buffer: a client's audio on its way to the session, and what of it is committed, or not yet.

In server VAD the session hears everything as it comes. In manual turns it hears it as it comes, too, so that an answer
can begin at once; what is cleared is taken back by dropping the core's open turn and telling it once more what was
committed before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from apps.voice.native import SILENCE, Framer
from apps.voice.openai_realtime.audio import Decoder, Format, decode_base64, duration_ms
from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.protocol import BYTES_PER_MS, FRAME_MS

WAITING_MS = 60_000
"""Audio that may wait to be heard: 2 MB."""
TURN_MS = 28_000
"""A turn that the client commits is no longer than that: the core ends one after 30 s by itself."""
SHORTEST_MS = 100
"""As with the original, less is no item."""


@dataclass(frozen=True, slots=True)
class Order:
    """Done in its turn. ``mark`` is how much had been committed when it was given."""

    do: Callable[[int], None]
    mark: int


class InputBuffer:
    """20 ms frames and orders, in order: :meth:`head` waits for the next one, :meth:`pop` takes it."""

    def __init__(self, form: Format) -> None:
        self._decoder = Decoder(form)
        self._queue: deque[bytes | Order] = deque()
        self._framer = Framer()
        self._frames = 0
        self._more = asyncio.Event()
        self.pending_ms = 0.0
        """Appended and not committed."""
        self._pending = bytearray()
        self._committed = bytearray()
        """What is committed and not answered; it begins at ``_base`` of all that ever was."""
        self._base = 0
        self._marks: deque[int] = deque()
        """Of the orders that wait."""

    # -- what the session hears ----------------------------------------------------------------------------

    @property
    def first(self) -> bytes | Order | None:
        """What is next."""
        return self._queue[0] if self._queue else None

    async def head(self) -> bytes | Order:
        """What is next, left in its place; waits for it."""
        while not self._queue:
            self._more.clear()
            await self._more.wait()
        return self._queue[0]

    def pop(self) -> None:
        """It was taken."""
        if isinstance(self._queue.popleft(), bytes):
            self._frames -= 1
        else:
            self._marks.popleft()

    def order(self, do: Callable[[int], None], *, silence_frames: int = 0) -> None:
        """Call it with the order's mark once everything before it was heard, and so much silence."""
        for frame in (*self._framer.flush(), *[SILENCE] * silence_frames):
            self._push(frame)
        self._queue.append(Order(do, self.mark))
        self._marks.append(self.mark)
        self._more.set()

    @property
    def waiting_ms(self) -> int:
        """Audio that the session has not heard yet."""
        return self._frames * FRAME_MS

    def drop(self) -> None:
        """No audio waits any more; orders stay."""
        self._queue = deque(entry for entry in self._queue if not isinstance(entry, bytes))
        self._frames = 0
        self._framer.clear()

    # -- what the client appends ---------------------------------------------------------------------------

    @property
    def mark(self) -> int:
        """How much was committed ever."""
        return self._base + len(self._committed)

    @property
    def committed_ms(self) -> int:
        """Audio of items that nobody has ordered an answer to."""
        return (len(self._committed) - self._ordered_bytes()) // BYTES_PER_MS

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

    def commit(self) -> None:
        """What was appended is an item, or a part of one."""
        self._committed += self._pending
        self._pending.clear()
        self.pending_ms = 0.0

    def add(self, pcm: bytes) -> None:
        """Audio of an item that the client made: 16 kHz, committed as it comes. Raises :class:`RealtimeError`."""
        if self.committed_ms + self.pending_ms + len(pcm) / BYTES_PER_MS > TURN_MS:
            raise _too_long()
        self._committed += pcm
        self._feed(pcm)

    def answered(self, mark: int) -> None:
        """What was committed up to there is answered."""
        if mark > self._base:
            del self._committed[: mark - self._base]
            self._base = mark

    # -- what is taken back --------------------------------------------------------------------------------

    def take_back(self) -> tuple[bytes, bool]:
        """What was appended and not committed, gone from here; and whether the session may have heard some of it.

        Then it is to forget its open turn: it will hear anew what was committed.
        """
        pending = bytes(self._pending)
        self._pending.clear()
        self.pending_ms = 0.0
        if not pending:
            return b"", False
        committed = bytes(self._committed[self._ordered_bytes() :])
        if self._marks:  # it waits behind an order: nothing of it was heard
            while isinstance(self._queue[-1], bytes):
                self._queue.pop()
                self._frames -= 1
            self._framer.clear()
            heard = False
        else:
            self.drop()
            heard = True
        self._feed(committed)
        return pending, heard

    def clear(self) -> bool:
        """What was appended and not committed counts for nothing; whether the session may have heard some of it."""
        self._decoder = Decoder(self._decoder.form)
        return self.take_back()[1]

    def start_anew(self) -> None:
        """Nothing was ever appended; orders stay."""
        self.drop()
        self.clear()
        self.answered(self.mark)

    def _ordered_bytes(self) -> int:
        return max(0, self._marks[-1] - self._base) if self._marks else 0

    def _feed(self, pcm: bytes) -> None:
        for frame in self._framer.cut(pcm):
            self._push(frame)

    def _push(self, frame: bytes) -> None:
        self._queue.append(frame)
        self._frames += 1
        self._more.set()


def _too_long() -> RealtimeError:
    words = f"audio: a turn lasts at most {TURN_MS // 1000} s; commit it and create a response, or clear it"
    return RealtimeError(words, code="input_audio_buffer_full", param="audio")
