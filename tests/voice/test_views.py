"""The talk page, and recordings over HTTP."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpResponseBase
from django.test import AsyncClient, Client
from django.urls import reverse

from apps.speakers.models import Emotion, Speaker
from apps.voice.access import GUEST_SESSION_KEY
from apps.voice.models import Turn
from apps.voice.services import turn_record
from tests.support.factories import draft, make_user, open_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def guest(client: Client, speaker: Speaker, emotion: Emotion) -> Client:
    """A guest who has opened the talk page."""
    client.get("/")
    return client


@pytest.fixture
def turn(guest: Client, media: Path) -> Turn:
    """A turn of that guest."""
    opened = open_session(guest_key=guest.session[GUEST_SESSION_KEY])
    return turn_record(session_id=opened.session.pk, draft=draft())


def body(response: HttpResponseBase) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]


def url(turn: Turn, name: str = "turn-audio") -> str:
    return reverse(name, args=[turn.pk])


# --- page ----------------------------------------------------------------------------------------------------------


def test_the_page_carries_its_config_and_gives_a_guest_a_key(guest: Client) -> None:
    first = guest.session[GUEST_SESSION_KEY]
    response = guest.get("/")
    assert response.status_code == 200
    found = re.search(r'<script id="voice-config" type="application/json">(.*?)</script>', response.text, re.DOTALL)
    assert found is not None
    page = json.loads(found[1])
    assert page["ws_path"] == "/ws/voice/"
    assert page["speakers"][0]["name_te"] == "ప్రియ"
    assert page["login_url"] == "/accounts/login/?next=%2F"
    assert guest.session[GUEST_SESSION_KEY] == first
    assert first not in response.text
    assert "no-store" in response["Cache-Control"]


def test_users_and_shut_out_guests_get_no_guest_key(client: Client, settings: Any) -> None:
    settings.VOICE_ALLOW_GUESTS = False
    assert client.get("/").status_code == 200
    assert GUEST_SESSION_KEY not in client.session
    settings.VOICE_ALLOW_GUESTS = True
    client.force_login(make_user())
    client.get("/")
    assert GUEST_SESSION_KEY not in client.session


# --- recordings ----------------------------------------------------------------------------------------------------


def test_a_whole_recording(guest: Client, turn: Turn) -> None:
    response = guest.get(url(turn))
    content = body(response)
    assert (response.status_code, response["Content-Type"], response["Accept-Ranges"]) == (200, "audio/flac", "bytes")
    assert content == Path(turn.audio.path).read_bytes()
    assert int(response["Content-Length"]) == len(content)
    assert "private" in response["Cache-Control"]


def test_output_and_codes(guest: Client, turn: Turn) -> None:
    assert body(guest.get(url(turn, "turn-output"))) == Path(turn.output_audio.path).read_bytes()
    codes = np.load(io.BytesIO(body(guest.get(url(turn, "turn-codes")))), allow_pickle=False)
    assert codes.shape == (8, 100)


@pytest.mark.parametrize(
    ("header", "part"),
    [("bytes=0-99", slice(0, 100)), ("bytes=1000-", slice(1000, None)), ("bytes=-64", slice(-64, None))],
)
def test_seeking_gets_just_that_part(guest: Client, turn: Turn, header: str, part: slice) -> None:
    whole = Path(turn.audio.path).read_bytes()
    response = guest.get(url(turn), headers={"range": header})
    first = part.indices(len(whole))[0]
    assert response.status_code == 206
    assert body(response) == whole[part]
    assert int(response["Content-Length"]) == len(whole[part])
    assert response["Content-Range"] == f"bytes {first}-{first + len(whole[part]) - 1}/{len(whole)}"


def test_a_range_outside_the_file(guest: Client, turn: Turn) -> None:
    response = guest.get(url(turn), headers={"range": "bytes=99999999-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{turn.audio.size}"


def test_if_range_of_another_version_gets_the_whole_file(guest: Client, turn: Turn) -> None:
    etag = guest.get(url(turn))["ETag"]
    same = guest.get(url(turn), headers={"range": "bytes=0-9", "if-range": etag})
    other = guest.get(url(turn), headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_an_unchanged_recording_is_not_sent_again(guest: Client, turn: Turn) -> None:
    etag = guest.get(url(turn))["ETag"]
    response = guest.get(url(turn), headers={"if-none-match": etag})
    assert (response.status_code, body(response)) == (304, b"")


def test_head_tells_the_size_without_the_content(guest: Client, turn: Turn) -> None:
    response = guest.head(url(turn))
    assert (response.status_code, body(response)) == (200, b"")
    assert int(response["Content-Length"]) == turn.audio.size


@pytest.mark.parametrize("name", ["turn-audio", "turn-output", "turn-codes"])
def test_others_learn_nothing(turn: Turn, name: str) -> None:
    stranger = Client()
    assert stranger.get(url(turn, name)).status_code == 404
    stranger.get("/")  # a guest with a key of their own
    assert stranger.get(url(turn, name)).status_code == 404
    stranger.force_login(make_user("ravana"))
    assert stranger.get(url(turn, name)).status_code == 404
    stranger.force_login(make_user("clerk", is_staff=True))
    assert stranger.get(url(turn, name)).status_code == 404
    stranger.force_login(make_user("operator", is_superuser=True))
    assert stranger.get(url(turn, name)).status_code == 200


def test_a_missing_recording_or_file_is_not_found(guest: Client, turn: Turn) -> None:
    turn.output_audio.storage.delete(str(turn.output_audio.name))
    assert guest.get(url(turn, "turn-output")).status_code == 404
    opened = open_session(guest_key=guest.session[GUEST_SESSION_KEY])
    silent = turn_record(session_id=opened.session.pk, draft=draft(output_pcm=b"", codes=None))
    assert guest.get(url(silent, "turn-output")).status_code == 404
    assert guest.get(url(silent, "turn-codes")).status_code == 404


def test_recordings_cannot_be_posted_to(guest: Client, turn: Turn) -> None:
    assert guest.post(url(turn)).status_code == 405


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_a_part_is_streamed_without_blocking(async_client: AsyncClient, media: Path) -> None:
    """As Daphne serves it: the iterator is asynchronous, else Django warns and collects the file (warnings fail)."""

    def prepare() -> tuple[Turn, bytes]:
        made = turn_record(session_id=open_session().session.pk, draft=draft(pcm=bytes(2 * 16 * 60_000)))
        return made, Path(made.audio.path).read_bytes()

    made, whole = await sync_to_async(prepare)()
    await sync_to_async(async_client.force_login)(await sync_to_async(make_user)("operator", is_superuser=True))
    response = await async_client.get(url(made), headers={"range": "bytes=3-"})
    content = b"".join([block async for block in response.streaming_content])
    assert (response.status_code, content) == (206, whole[3:])
    await sync_to_async(connections.close_all)()  # the worker thread's: the test database could not be dropped
