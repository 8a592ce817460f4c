"""Captions: kept only where the recording is, told in any case, waited for at the end but not for ever."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from apps.voice import captions, writer
from apps.voice.captions import CaptionText, caption_of
from apps.voice.models import Turn
from apps.voice.protocol import Caption, Notice, TurnStored
from apps.voice.services import turn_captioned, turn_record
from apps.voice.turns import TurnCut
from tests.support.factories import draft, open_session

CUT = TurnCut(0, 200, bytes(6400), b"", np.zeros((8, 5), np.uint16), {}, None, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(("keep", "kept"), [("yes", "నమస్కారం"), ("codes", ""), ("nothing", "")])
def test_it_is_kept_only_with_the_recording(media: Any, keep: str, kept: str) -> None:
    session = open_session(keep_audio=keep).session
    turn = turn_record(session_id=session.pk, draft=draft())
    assert turn_captioned(turn_id=turn.pk, text="నమస్కారం") == bool(kept)
    assert Turn.objects.get(pk=turn.pk).caption == kept


async def told(monkeypatch: pytest.MonkeyPatch, caption: Any) -> list[Any]:
    """What a connection is told of one turn; the rows are others' business (above, and in the browser's tests)."""
    turn = Turn(id=uuid4(), role="user", index=0, duration_ms=200)

    async def stored(*_: Any) -> Turn:
        return turn

    monkeypatch.setattr(writer, "caption_of", caption)
    monkeypatch.setattr(writer, "turn_captioned", lambda **_: True)
    monkeypatch.setattr(writer.TurnWriter, "_store", stored)
    said: list[TurnStored | Caption | Notice] = []

    async def tell(message: TurnStored | Caption | Notice) -> None:
        said.append(message)

    turns = writer.TurnWriter(session_id=uuid4(), tell=tell)
    turns.submit(CUT)
    await turns.finish()
    await turns.run()
    return said


async def test_it_follows_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hello(pcm: bytes) -> CaptionText | None:
        return CaptionText("నమస్కారం", known=True)

    stored, caption = await told(monkeypatch, hello)
    assert caption == Caption(turn=stored.id, text="నమస్కారం", known=True)


async def test_a_turn_does_not_wait_for_its_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(pcm: bytes) -> CaptionText | None:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(writer, "LAST_CAPTIONS_S", 0.01)
    assert [type(message) for message in await told(monkeypatch, never)] == [TurnStored]


async def test_without_a_server_there_is_none(settings: Any) -> None:
    settings.INFERENCE_URLS = ["unix:///nowhere.sock"]
    assert await caption_of(bytes(32_000)) is None
    assert await caption_of(bytes(captions.SHORTEST_BYTES - 2)) is None
