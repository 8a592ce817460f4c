"""Stores the turns of one connection, one after another, away from the frame path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from channels.db import database_sync_to_async
from django.urls import reverse

from apps.voice import metrics
from apps.voice.captions import caption_of
from apps.voice.errors import ServiceError
from apps.voice.models import Turn
from apps.voice.protocol import Caption, Notice, TurnStored
from apps.voice.services import TurnDraft, turn_captioned, turn_record
from apps.voice.turns import TurnCut

logger = logging.getLogger(__name__)

CAPACITY = 6
"""Turns that may wait for the database: at most 35 s each, so at most some 8 MB while it is away."""
ATTEMPTS = 3
RETRY_S = 1.0
CAPTIONS = 4
"""Captions of one connection that may be under way."""
LAST_CAPTIONS_S = 3.0
"""How long the end of a connection waits for them."""

Tell = Callable[[TurnStored | Caption | Notice], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where turns come from."""

    offset_ms: int
    models: dict[str, str]


class TurnWriter:
    """A bounded queue of turns and the task that stores them."""

    def __init__(self, *, session_id: UUID, tell: Tell) -> None:
        self._session_id = session_id
        self._source = _Source(0, {})
        self._tell = tell
        self._captions: set[asyncio.Task[None]] = set()
        self._queue: asyncio.Queue[tuple[_Source, TurnCut] | None] = asyncio.Queue(CAPACITY)

    def began(self, *, offset_ms: int, models: dict[str, str]) -> None:
        """What is submitted from now on comes from another flow: where it began in the session, and its models."""
        self._source = _Source(offset_ms, models)

    def submit(self, cut: TurnCut) -> bool:
        """Queue a turn; False when the database is so far behind that it has to be given up."""
        try:
            self._queue.put_nowait((self._source, cut))
        except asyncio.QueueFull:
            logger.error(
                "session %s: a turn of %d ms is lost, the database is behind", self._session_id, cut.duration_ms
            )
            return False
        return True

    async def finish(self) -> None:
        """No more turns will come: :meth:`run` returns once those that wait are stored."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Store turns until :meth:`finish`."""
        while (item := await self._queue.get()) is not None:
            turn = await self._store(*item)
            metrics.count("turns_total" if turn is not None else "turns_lost_total")
            if turn is None:
                await self._tell(Notice(code="turn_lost", message="a turn could not be stored"))
            else:
                await self._tell(_stored(turn))
                self._caption(turn, item[1])
        if self._captions:
            await asyncio.wait(self._captions, timeout=LAST_CAPTIONS_S)
        for task in self._captions:
            task.cancel()

    def _caption(self, turn: Turn, cut: TurnCut) -> None:
        """Have the turn captioned, beside the turns to come."""
        if len(self._captions) < CAPTIONS and cut.pcm:
            task = asyncio.create_task(self._captioned(turn.pk, cut.pcm))
            self._captions.add(task)
            task.add_done_callback(self._captions.discard)

    async def _captioned(self, turn_id: UUID, pcm: bytes) -> None:
        found = await caption_of(pcm)
        if found is not None:
            await database_sync_to_async(turn_captioned)(turn_id=turn_id, text=found.text)
            await self._tell(Caption(turn=turn_id, text=found.text, known=found.known))

    async def _store(self, source: _Source, cut: TurnCut) -> Turn | None:
        draft = TurnDraft(
            role=cut.role,
            started_ms=source.offset_ms + cut.started_ms,
            duration_ms=cut.duration_ms,
            pcm=cut.pcm,
            output_pcm=cut.output_pcm,
            codes=cut.codes,
            latency=cut.latency,
            model_versions=source.models,
            stats={
                "frames_missing": cut.frames_missing,
                **({"end_reason": cut.end_reason} if cut.end_reason else {}),
                **({"plan": cut.plan} if cut.plan is not None else {}),
            },
            interrupted_at_ms=cut.interrupted_at_ms,
            response_ms=cut.response_ms,
        )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await database_sync_to_async(turn_record)(session_id=self._session_id, draft=draft)
            except ServiceError:
                logger.exception("session %s: a turn was refused", self._session_id)
                return None
            except Exception:  # the database or the disk: worth another try
                logger.exception("session %s: storing a turn failed (%d of %d)", self._session_id, attempt, ATTEMPTS)
                if attempt < ATTEMPTS:
                    await asyncio.sleep(RETRY_S)
        return None


def _stored(turn: Turn) -> TurnStored:
    return TurnStored(
        id=turn.pk,
        index=turn.index,
        role="assistant" if turn.role == Turn.Role.ASSISTANT else "user",
        duration_ms=turn.duration_ms,
        audio_url=reverse("turn-audio", args=[turn.pk]) if turn.audio else None,
        interrupted_at_ms=turn.interrupted_at_ms,
        speaker=turn.speaker.slug if turn.speaker else None,
        emotion=turn.emotion.slug if turn.emotion else None,
        output_url=reverse("turn-output", args=[turn.pk]) if turn.output_audio else None,
        latency={name: float(value) for name, value in turn.latency.items()},
    )
