"""Rows that two transactions want at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from apps.voice.models import VoiceSession
from apps.voice.services import session_configure, session_renew
from tests.support.factories import make_emotion, make_speaker, open_session
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")  # pg_stat_activity stands still here
        return bool(cursor.fetchone()[0])


def test_who_waits_for_a_session_sees_the_speaker_that_it_got_meanwhile() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole database")
    make_speaker("priya", order=1)
    make_speaker("ravi", order=2)
    make_emotion("happy")
    session = open_session().session
    seen: list[Any] = []

    def renew() -> None:
        try:
            seen.append(session_renew(session_id=session.pk))
        finally:
            connection.close()

    with transaction.atomic():
        session_configure(session_id=session.pk, speaker="ravi")
        other = threading.Thread(target=renew)
        other.start()
        wait_until(somebody_waits, 30, "the other transaction to wait for the row")
    other.join(30)
    assert [row.speaker.slug for row in seen] == ["ravi"]
    assert VoiceSession.objects.get().speaker.slug == "ravi"  # type: ignore[union-attr]
