"""The live session as this protocol speaks to it: natively, with a key of push-to-talk that is down or up."""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol

from apps.voice.protocol import FRAME_MS, AudioFrame, FrameKind, pack_audio

CLOSES = {1000: 1000, 4008: 1008, 4011: 1011, 4012: 1012, 4013: 1013, 4014: 1008, 4401: 1008}
"""Close codes in the protocol's terms: its clients reconnect after 1011 to 1013, and not after 1008."""


class Session(Protocol):
    """What is needed of a live session."""

    def receive_text(self, text: str) -> None: ...

    def receive_bytes(self, data: bytes) -> None: ...

    def truncate(self, turn: int, heard_ms: int) -> None: ...

    def gone(self) -> None: ...


class Core:
    """Says what the session understands. Before :meth:`attach` nobody hears it."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._seq = 0
        self._pressed = False

    def attach(self, session: Session) -> None:
        """From now on it speaks to that session."""
        self._session = session

    def say(self, **message: Any) -> None:
        """One message of the native protocol."""
        if self._session is not None:
            self._session.receive_text(json.dumps(message))

    def frame(self, pcm: bytes, generation: int) -> None:
        """20 ms of the person's audio."""
        head = AudioFrame(FrameKind.AUDIO_UP, self._seq, self._seq * FRAME_MS, generation, pcm)
        self._seq += 1
        if self._session is not None:
            self._session.receive_bytes(pack_audio(head))

    @property
    def pressed(self) -> bool:
        """Whether the client's own turn is open."""
        return self._pressed

    def press(self) -> None:
        """A turn is open from here on, if none is."""
        if not self._pressed:
            self._pressed = True
            self.say(type="key", event="press")

    def release(self, event: Literal["commit", "cancel"]) -> None:
        """The open turn is answered, or counts for nothing."""
        if self._pressed:
            self._pressed = False
            self.say(type="key", event=event)

    def truncate(self, turn: int, heard_ms: int) -> None:
        """Of the answer to ``turn`` only so much was heard."""
        if self._session is not None:
            self._session.truncate(turn, heard_ms)

    def gone(self) -> None:
        """Nobody is there any more."""
        if self._session is not None:
            self._session.gone()
