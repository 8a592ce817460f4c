"""The pages beside the talk page: voices, own conversations, about."""

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from apps.speakers.gallery import voice_gallery
from apps.voice.access import GUEST_SESSION_KEY
from apps.voice.models import VoiceSession
from apps.voice.selectors import session_timeline
from apps.voice.services import turn_record
from tests.support.factories import draft, make_user, open_session

pytestmark = pytest.mark.django_db


def said(**changes: Any) -> VoiceSession:
    session = open_session(**changes).session
    turn_record(session_id=session.pk, draft=draft())
    return session


def guest(client: Client, key: str) -> Client:
    session = client.session
    session[GUEST_SESSION_KEY] = key
    session.save()
    return client


def test_every_published_voice_is_heard_in_every_emotion(client: Client) -> None:
    call_command("seed", verbosity=0)
    page = client.get(reverse("listen")).content.decode()
    rows = voice_gallery(answers=True)
    assert all("/voice/answers/" in url for row in rows for _, url in row.samples), "spoken by the model itself"
    assert len(rows) == 4
    for row in rows:
        assert row.speaker.name_te in page
        assert len(row.samples) == 9
        assert all(url in page for _, url in row.samples)


def test_about_says_what_it_cannot_do(client: Client) -> None:
    assert client.get(reverse("about")).status_code == 200
    client.cookies["django_language"] = "en"
    page = client.get(reverse("about")).content.decode()
    assert "only answers that it has learned" in page


def test_history_is_a_persons_own(client: Client) -> None:
    user = make_user()
    mine, other = said(user=user), said(guest_key="somebody")
    client.force_login(user)
    page = client.get(reverse("history")).content.decode()
    assert str(mine.pk) in page
    assert str(other.pk) not in page
    assert client.get(reverse("history-session", args=[mine.pk])).status_code == 200
    for name in ("history-session", "history-export"):
        assert client.get(reverse(name, args=[other.pk])).status_code == 404
    assert client.post(reverse("history-delete", args=[other.pk])).status_code == 404
    assert VoiceSession.objects.filter(pk=other.pk).exists()


def test_a_guest_sees_what_this_browser_said(client: Client) -> None:
    mine, other = said(guest_key="mine"), said(guest_key="other")
    assert str(mine.pk) not in client.get(reverse("history")).content.decode()
    page = guest(client, "mine").get(reverse("history")).content.decode()
    assert str(mine.pk) in page
    assert str(other.pk) not in page


def test_a_conversation_is_taken_home(client: Client) -> None:
    session = said(guest_key="mine")
    answer = guest(client, "mine").get(reverse("history-export", args=[session.pk]))
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        description = json.loads(archive.read("conversation.json"))
        [turn] = description["turns"]
        assert archive.read(turn["audio"])[:4] == b"fLaC"
    assert description["session"] == str(session.pk)


def test_deleting_takes_turns_and_files(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    session = said(guest_key="mine")
    stored = session.turns.get().audio
    assert stored.storage.exists(stored.name)
    with django_capture_on_commit_callbacks(execute=True):
        answer = guest(client, "mine").post(reverse("history-delete", args=[session.pk]), follow=True)
    assert not VoiceSession.objects.filter(pk=session.pk).exists()
    assert answer.redirect_chain[-1][0] == reverse("history")
    assert not stored.storage.exists(stored.name)


def test_both_sides_have_their_lane() -> None:
    session = open_session(mode="talk", guest_key="mine").session
    for role in ("user", "assistant"):
        turn_record(session_id=session.pk, draft=draft(role=role, output_pcm=b""))
    assert [one["side"] for one in session_timeline(session_id=session.pk)] == ["heard", "answer"]
