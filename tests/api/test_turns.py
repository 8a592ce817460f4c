"""Turns by REST: lists, recordings with ranges, waveforms, codes, marks, deletion; one's own alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.voice.models import Turn
from apps.voice.services import turn_record
from tests.support.factories import draft, make_speaker, open_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def sita(person: Callable[..., User]) -> User:
    return person("sita")


@pytest.fixture
def hers(sita: User, program_of: Callable[..., APIClient]) -> APIClient:
    return program_of(sita)


@pytest.fixture
def turn(sita: User, settings: Any, tmp_path: Path) -> Turn:
    settings.MEDIA_ROOT = tmp_path / "media"
    return turn_record(session_id=open_session(user=sita).session.pk, draft=draft())


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_list_filters_and_asks_the_database_no_more_for_more_rows(hers: APIClient, turn: Turn) -> None:
    make_speaker()
    hers.get("/api/v1/turns")  # the token's first use is noted once
    with CaptureQueriesContext(connection) as few:
        assert len(hers.get("/api/v1/turns").json()["results"]) == 1
    for _ in range(5):
        turn_record(session_id=turn.session_id, draft=draft(role="assistant", interrupted_at_ms=100))
    with CaptureQueriesContext(connection) as many:
        assert len(hers.get("/api/v1/turns").json()["results"]) == 6
    assert len(many) == len(few)
    assert len(hers.get("/api/v1/turns?role=user").json()["results"]) == 1
    assert len(hers.get("/api/v1/turns?interrupted=true").json()["results"]) == 5
    assert hers.get(f"/api/v1/turns?session={turn.session_id}&ordering=index").json()["results"][0]["index"] == 0
    assert hers.get("/api/v1/turns?started_before=2001-01-01T00:00:00Z").json()["results"] == []
    assert hers.get("/api/v1/turns?started_before=yesterday").status_code == 400


@pytest.mark.parametrize("accept", ["audio/*", "*/*", "audio/flac"])
def test_a_recording_whole_and_in_part(hers: APIClient, turn: Turn, accept: str) -> None:
    whole = Path(turn.audio.path).read_bytes()
    url = f"/api/v1/turns/{turn.pk}/audio"
    answer = hers.get(url, headers={"accept": accept})
    assert (answer.status_code, answer["Content-Type"], content(answer)) == (200, "audio/flac", whole)
    part = hers.get(url, headers={"accept": accept, "range": "bytes=10-19"})
    assert (part.status_code, part["Content-Range"], content(part)) == (206, f"bytes 10-19/{len(whole)}", whole[10:20])
    assert hers.get(url, headers={"range": "bytes=99999999-"}).status_code == 416
    assert content(hers.get(f"/api/v1/turns/{turn.pk}/output")) == Path(turn.output_audio.path).read_bytes()


def test_the_waveform_and_the_codes(hers: APIClient, turn: Turn) -> None:
    peaks = hers.get(f"/api/v1/turns/{turn.pk}/peaks?count=50").json()
    assert (peaks["duration_ms"], len(peaks["peaks"])) == (500, 50)
    assert all(abs(peak - 8000 / 32768) < 0.01 for peak in peaks["peaks"])
    assert hers.get(f"/api/v1/turns/{turn.pk}/peaks?count=0").status_code == 400
    codes = hers.get(f"/api/v1/turns/{turn.pk}/codes").json()
    assert (codes["levels"], codes["frames"]) == (8, 100)
    assert np.array_equal(codes["codes"], np.arange(800).reshape(8, 100))


def test_what_is_not_stored_is_not_found(hers: APIClient, turn: Turn) -> None:
    silent = turn_record(session_id=turn.session_id, draft=draft(output_pcm=b"", codes=None))
    for part in ("output", "codes", "peaks?of=output"):
        answer = hers.get(f"/api/v1/turns/{silent.pk}/{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_deleting_takes_the_files_along(hers: APIClient, turn: Turn, django_capture_on_commit_callbacks: Any) -> None:
    files = [Path(stored.path) for stored in (turn.audio, turn.output_audio, turn.codes)]
    with django_capture_on_commit_callbacks(execute=True):
        assert hers.delete(f"/api/v1/turns/{turn.pk}").status_code == 204
    assert not Turn.objects.exists()
    assert not any(path.exists() for path in files)


def test_nobody_hears_another(turn: Turn, person: Callable[..., User], program_of: Callable[..., APIClient]) -> None:
    ravana = program_of(person("ravana"))
    guest = turn_record(session_id=open_session().session.pk, draft=draft())
    assert ravana.get("/api/v1/turns").json()["results"] == []
    for pk in (turn.pk, guest.pk):
        url = f"/api/v1/turns/{pk}"
        reads = [ravana.get(f"{url}{part}") for part in ("", "/audio", "/output", "/peaks", "/codes")]
        assert {answer.status_code for answer in [*reads, ravana.delete(url)]} == {404}
    assert Turn.objects.count() == 2


def test_a_role_hears_marks_or_deletes_each_with_its_permission(
    turn: Turn, person: Callable[..., User], program_of: Callable[..., APIClient]
) -> None:
    url = f"/api/v1/turns/{turn.pk}"
    viewer = program_of(person("viewer", "voice.view_turn"))
    assert viewer.get(f"{url}/audio").status_code == 200
    assert viewer.patch(url, {"mark": "good"}).status_code == viewer.delete(url).status_code == 403
    marker = program_of(person("marker", "voice.view_turn", "voice.change_turn"))
    marked = marker.patch(url, {"mark": "good", "mark_note": "clear"})
    assert (marked.status_code, marked.json()["mark"], marked.json()["mark_note"]) == (200, "good", "clear")
    assert Turn.objects.get().marked_by == User.objects.get(username="marker")
    assert marker.patch(url, {"mark": "superb"}).status_code == 400
    cleaner = program_of(person("cleaner", "voice.view_turn", "voice.delete_turn"))
    assert cleaner.delete(url).status_code == 204
