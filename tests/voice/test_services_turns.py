"""Turns: a row and its files exist together or not at all."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from django.db import connection, transaction
from django.db.models.signals import pre_save

from apps.speakers.models import Emotion, Speaker
from apps.voice.models import Turn, VoiceSession
from apps.voice.services import ServiceError, session_end, session_suspend, turn_record
from apps.voice.storage import read_codes
from tests.support.factories import draft, make_user, open_session, tone

CaptureOnCommit = Callable[..., AbstractContextManager[list[Any]]]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.django_db
def test_a_turn_keeps_every_sample_and_code(media: Path, speaker: Speaker, emotion: Emotion) -> None:
    opened = open_session(speaker="priya", emotion="neutral")
    wish = draft(interrupted_at_ms=250)
    turn = turn_record(session_id=opened.session.pk, draft=wish)
    turn.refresh_from_db()
    heard, rate = sf.read(turn.audio.path, dtype="int16")
    assert (rate, sf.info(turn.audio.path).format) == (16_000, "FLAC")
    assert heard.astype("<i2").tobytes() == wish.pcm
    back, _ = sf.read(turn.output_audio.path, dtype="int16")
    assert back.astype("<i2").tobytes() == wish.output_pcm
    codes = read_codes(turn)
    assert codes.dtype == np.uint16
    assert np.array_equal(codes, wish.codes)
    assert (turn.index, turn.speaker, turn.emotion, turn.interrupted_at_ms) == (0, speaker, emotion, 250)
    assert (turn.ended_at - turn.started_at).total_seconds() == 0.5
    assert turn.latency == {"queue_ms": 0.5, "encode_ms": 2.25, "decode_ms": 1.75}
    assert len(files(media)) == 3


@pytest.mark.django_db
def test_turns_are_numbered_in_order_also_around_the_end(media: Path) -> None:
    opened = open_session()
    pk = opened.session.pk
    indexes = [turn_record(session_id=pk, draft=draft()).index]
    session_suspend(session_id=pk)
    indexes.append(turn_record(session_id=pk, draft=draft(output_pcm=b"", codes=None)).index)
    session_end(session_id=pk, reason="client")
    indexes.append(turn_record(session_id=pk, draft=draft(role="assistant", pcm=b"")).index)
    assert indexes == [0, 1, 2]
    assert turn_record(session_id=open_session().session.pk, draft=draft()).index == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"pcm": b"", "output_pcm": b""},
        {"pcm": b"\0\0\0"},
        {"codes": np.zeros((9, 4), np.uint16)},
        {"codes": np.zeros(4, np.uint16)},
        {"codes": np.full((8, 4), 1024, np.uint16)},
        {"codes": np.full((8, 4), -1)},
        {"codes": np.zeros((8, 4), np.float32)},
        {"latency": {"queue_ms": -1.0}},
        {"latency": {"queue_ms": float("nan")}},
        {"latency": {"queue_ms": "fast"}},
        {"duration_ms": -1},
        {"started_ms": -5},
        {"interrupted_at_ms": 501},
        {"role": "narrator"},
    ],
)
def test_a_bad_draft_leaves_neither_row_nor_file(media: Path, changes: dict[str, Any]) -> None:
    opened = open_session()
    with pytest.raises(ServiceError, match="bad_turn"):
        turn_record(session_id=opened.session.pk, draft=draft(**changes))
    assert not Turn.objects.exists()
    assert files(media) == []


@pytest.mark.django_db
def test_an_unknown_session_leaves_no_file(media: Path) -> None:
    with pytest.raises(ServiceError, match="unknown_session"):
        turn_record(session_id=uuid.uuid4(), draft=draft())
    assert files(media) == []


@pytest.mark.django_db
def test_a_failing_transaction_takes_the_files_with_it(media: Path) -> None:
    opened = open_session()
    seen: list[int] = []

    def crash(**_: Any) -> None:
        seen.append(len(files(media)))
        raise OSError("no space left on the database's device")

    pre_save.connect(crash, sender=Turn)
    try:
        with pytest.raises(OSError, match="no space"):
            turn_record(session_id=opened.session.pk, draft=draft())
    finally:
        pre_save.disconnect(crash, sender=Turn)
    assert seen == [3]  # they were there before the row
    assert files(media) == []
    assert not list(media.glob("turns/*"))


@pytest.mark.django_db
def test_deleting_a_session_deletes_its_files_after_commit(
    media: Path, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    opened, other = open_session(), open_session()
    for _ in range(2):
        turn_record(session_id=opened.session.pk, draft=draft())
    kept = turn_record(session_id=other.session.pk, draft=draft())
    with django_capture_on_commit_callbacks(execute=True):
        VoiceSession.objects.filter(pk=opened.session.pk).delete()
        assert len(files(media)) == 9  # not before the commit
    assert len(files(media)) == 3
    assert Path(kept.audio.path).exists()
    assert not (media / "turns" / str(opened.session.pk)).exists()


@pytest.mark.django_db
def test_deleting_a_user_deletes_their_recordings(
    media: Path, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    user = make_user()
    turn_record(session_id=open_session(user=user).session.pk, draft=draft())
    with django_capture_on_commit_callbacks(execute=True):
        user.delete()
    assert files(media) == []


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_rolled_back_keeps_the_files(media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    with pytest.raises(RuntimeError, match="changed my mind"), transaction.atomic():
        turn.delete()
        raise RuntimeError("changed my mind")
    assert len(files(media)) == 3
    Turn.objects.get().delete()
    assert files(media) == []


@pytest.mark.django_db(transaction=True)
def test_turn_record_refuses_to_run_inside_a_transaction(media: Path) -> None:
    """Whose later rollback would leave files without a row."""
    opened = open_session()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        turn_record(session_id=opened.session.pk, draft=draft())
    assert files(media) == []


@pytest.mark.django_db(transaction=True)
def test_turns_recorded_at_once_get_different_numbers(media: Path) -> None:
    opened = open_session()
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def record() -> None:
        try:
            barrier.wait(10)
            turn_record(session_id=opened.session.pk, draft=draft(pcm=tone(40), duration_ms=40))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sorted(Turn.objects.values_list("index", flat=True)) == [0, 1, 2, 3]
