"""What the database itself refuses, whoever writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.speakers.models import Speaker
from apps.voice.models import Turn, VoiceSession
from tests.support.factories import make_user, open_session

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "changes",
    [
        {"quantizers": 0},
        {"quantizers": 9},
        {"mode": "sing"},
        {"turn_taking": "never"},
        {"status": "asleep"},
        {"generation": 2**32},
        {"guest_key": ""},
        {"status": "ended"},  # without a time and a reason
        {"status": "suspended"},  # without resume_until
        {"lease_until": None},  # live without a lease
        {"end_reason": "operator"},  # live with a reason
        {"ended_at": timezone.now()},
        {"status": "ended", "ended_at": timezone.now(), "end_reason": "x"},  # with a token that would still resume it
    ],
    ids=str,
)
def test_sessions(changes: dict[str, Any]) -> None:
    pk = open_session().session.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        VoiceSession.objects.filter(pk=pk).update(**changes)


def test_a_session_is_a_users_or_a_guests_never_both() -> None:
    pk = open_session().session.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        VoiceSession.objects.filter(pk=pk).update(owner=make_user())


def test_no_two_sessions_share_a_token() -> None:
    one, two = open_session().session, open_session().session
    with pytest.raises(IntegrityError), transaction.atomic():
        VoiceSession.objects.filter(pk=one.pk).update(resume_hash=two.resume_hash)


@pytest.fixture
def turn() -> Turn:
    now = timezone.now()
    return Turn.objects.create(
        session=open_session().session, index=0, role="user", started_at=now, ended_at=now, start_ms=0, duration_ms=100
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "narrator"},
        {"interrupted_at_ms": 101},
        {"ended_at": timezone.now() - timedelta(days=1)},
        {"duration_ms": -1},
        {"start_ms": -1},
        {"index": -1},
    ],
    ids=str,
)
def test_turns(turn: Turn, changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Turn.objects.filter(pk=turn.pk).update(**changes)


def test_a_session_numbers_each_turn_once(turn: Turn) -> None:
    turn.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        Turn.objects.create(
            session=turn.session,
            index=0,
            role="user",
            started_at=turn.started_at,
            ended_at=turn.ended_at,
            start_ms=0,
            duration_ms=1,
        )


def test_a_voice_with_history_cannot_be_deleted(speaker: Speaker) -> None:
    from django.db.models import ProtectedError

    open_session(speaker="priya")
    with pytest.raises(ProtectedError):
        speaker.delete()
