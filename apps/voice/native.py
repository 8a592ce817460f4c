"""A live session as the adapters of other protocols speak to it: natively, with a key of push-to-talk.

An adapter translates; what a client of the native protocol would do by itself (numbering frames, cutting audio into
frames, keeping the key's state) is written here, once for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, Protocol

from apps.voice.protocol import FRAME_MS, UP_PAYLOAD_BYTES, AudioFrame, FrameKind, pack_audio
from ml.serve.wire import Listen

FEED_S = FRAME_MS / 1000 / 2
"""Audio that waits is heard at twice the speed of a microphone."""
TAIL_FRAMES = 10
"""Silence after a turn that the client ends: the codec holds back 20 ms, and a word may end in the last frame."""
SILENCE = bytes(UP_PAYLOAD_BYTES)


class Session(Protocol):
    """What is needed of a live session."""

    def receive_text(self, text: str) -> None: ...

    def receive_bytes(self, data: bytes) -> None: ...

    def truncate(self, turn: int, heard_ms: int) -> None: ...

    def listen(self, wish: Listen) -> None: ...

    def reply(self) -> None: ...

    def gone(self) -> None: ...


class NativeClient:
    """Says what the session understands. Before :meth:`attach` nobody hears it.

    ``generation`` is the last one that the session told; its owner keeps it.
    """

    def __init__(self) -> None:
        self._session: Session | None = None
        self._seq = 0
        self._pressed = False
        self.generation = 0

    def attach(self, session: Session) -> None:
        """From now on it speaks to that session."""
        self._session = session

    def say(self, **message: Any) -> None:
        """One message of the native protocol."""
        if self._session is not None:
            self._session.receive_text(json.dumps(message))

    def frame(self, pcm: bytes) -> None:
        """20 ms of the person's audio."""
        head = AudioFrame(FrameKind.AUDIO_UP, self._seq, self._seq * FRAME_MS, self.generation, pcm)
        self._seq += 1
        if self._session is not None:
            self._session.receive_bytes(pack_audio(head))

    def played(self, generation: int, played_ms: int) -> None:
        """So much of that generation's audio was heard."""
        self.say(type="played", generation=generation, played_ms=played_ms, buffered_ms=0, underruns=0)

    @property
    def media_ms(self) -> int:
        """How much audio it has said: the session's media clock."""
        return self._seq * FRAME_MS

    @property
    def pressed(self) -> bool:
        """Whether the key is down: the client's own turn is open."""
        return self._pressed

    def press(self) -> None:
        """A turn is open from here on, if none is."""
        if not self._pressed:
            self._pressed = True
            self.say(type="key", event="press")

    def release(self, event: Literal["release", "commit", "cancel"]) -> None:
        """The open turn is answered (with ``commit`` even the shortest), or counts for nothing."""
        if self._pressed:
            self._pressed = False
            self.say(type="key", event=event)

    def truncate(self, turn: int, heard_ms: int) -> None:
        """Of the answer to ``turn`` only so much was heard."""
        if self._session is not None:
            self._session.truncate(turn, heard_ms)

    def listen(self, wish: Listen) -> None:
        """What counts as speech, and what follows from it."""
        if self._session is not None:
            self._session.listen(wish)

    def reply(self) -> None:
        """An answer is wanted now: to the open turn, else to the one that waits, else to nothing. The key is up."""
        self._pressed = False
        if self._session is not None:
            self._session.reply()

    def gone(self) -> None:
        """Nobody is there any more."""
        if self._session is not None:
            self._session.gone()


class Framer:
    """PCM16LE, 16 kHz, in pieces of any even length; 20 ms frames out of it."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, pcm: bytes) -> Iterator[bytes]:
        """Whole frames; what is left over waits for more."""
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % UP_PAYLOAD_BYTES
        self._rest = pcm[whole:]
        return (pcm[at : at + UP_PAYLOAD_BYTES] for at in range(0, whole, UP_PAYLOAD_BYTES))

    @property
    def waiting_bytes(self) -> int:
        """What is left over."""
        return len(self._rest)

    def flush(self) -> Iterator[bytes]:
        """What is left over, as a frame filled up with silence."""
        rest, self._rest = self._rest, b""
        if rest:
            yield rest + bytes(UP_PAYLOAD_BYTES - len(rest))

    def clear(self) -> None:
        """Nothing is left over."""
        self._rest = b""
