"""The reaper, by hand and as a task."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from apps.voice.models import VoiceSession
from apps.voice.tasks import clear_logins, reap
from tests.support.factories import open_session

pytestmark = pytest.mark.django_db


def lose(count: int) -> None:
    for _ in range(count):
        open_session()
    VoiceSession.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_command() -> None:
    lose(2)
    out = io.StringIO()
    call_command("reap", stdout=out)
    assert out.getvalue() == "2 sessions changed\n"


def test_task_is_registered_under_its_name_and_reaps() -> None:
    from voiceplatform.celery import app

    lose(1)
    assert app.tasks["voice.reap"].name == reap.name
    assert reap() == 1
    assert VoiceSession.objects.get().status == "suspended"


def test_expired_logins_go_and_others_stay() -> None:
    for key, days in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(days=days))
    clear_logins()
    left = set(Session.objects.values_list("session_key", flat=True))
    assert "new" in left
    assert "old" not in left
