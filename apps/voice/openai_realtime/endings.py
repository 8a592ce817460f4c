"""The end of an answer: once all its audio was sent, and captioned; or before that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from apps.voice.openai_realtime.clock import now
from apps.voice.openai_realtime.connection import Connection
from apps.voice.openai_realtime.responses import Response

STUCK_S = 15.0
"""A response that nothing comes of for so long has failed."""
LAST_AUDIO_S = 2.0
"""How long after the end that the core told the last audio may still come."""

Captioner = Callable[[bytes], Awaitable[str]]


class Endings:
    """Ends responses. ``caption`` hears what was said in PCM16LE at 16 kHz; None: answers carry no transcripts."""

    def __init__(self, connection: Connection, caption: Captioner | None) -> None:
        self._it = connection
        self._caption = caption
        self._captioning: asyncio.Task[None] | None = None

    def sent(self, response: Response) -> None:
        """Some of it was sent, or its length became known: is that all?"""
        if response.complete:
            self._complete(response)

    def overdue(self, response: Response) -> None:
        """Time passes: end what does not end by itself."""
        quiet_s = now() - response.stirred_at
        if response.ends_at_ms is not None and quiet_s > LAST_AUDIO_S:
            self._complete(response)
        elif quiet_s > STUCK_S + self._it.input.waiting_ms / 1000:
            self.stop("failed", "timeout", "the model gave no answer in time")

    def stop(self, status: Literal["cancelled", "failed"], reason: str, message: str = "") -> None:
        """It is over, and the core is to fall silent."""
        self.cut(status, reason, message)
        self._it.core.say(type="interrupt")

    def cut(self, status: Literal["cancelled", "failed"], reason: str, message: str = "") -> None:
        """It is over."""
        if self._captioning is not None:
            self._captioning.cancel()
            self._captioning = None
        self._it.responses.finish(status, reason, message=message)

    def before_turn(self, response: Response) -> None:
        """The next turn begins: an answer that only waits for its transcript is complete without one."""
        if self._captioning is not None:
            self._captioning.cancel()
            self._captioning = None
        if response.ends_at_ms is not None:
            self._finish(response, "")
        else:
            self._it.responses.finish("cancelled", "turn_detected")

    # -- inside --------------------------------------------------------------------------------------------

    def _complete(self, response: Response) -> None:
        if self._caption is None or not response.pcm:
            self._finish(response, "")
        elif self._captioning is None:
            self._captioning = asyncio.create_task(self._transcribe(response, self._caption))

    async def _transcribe(self, response: Response, caption: Captioner) -> None:
        text = await caption(bytes(response.pcm))
        self._captioning = None
        self._finish(response, text)

    def _finish(self, response: Response, transcript: str) -> None:
        if self._it.responses.active is not response:
            return
        if response.reason == "limit":
            self._it.responses.finish("incomplete", "max_output_tokens", transcript=transcript)
        else:
            self._it.responses.finish("completed", transcript=transcript)
        self._it.turns.tell()
