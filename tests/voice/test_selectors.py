"""Who may hear a turn, whose socket may stay open, what the page is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from apps.speakers.models import Emotion, Speaker
from apps.voice.selectors import page_config, session_turns, socket_allowed, turn_visible
from apps.voice.services import turn_record
from tests.support.factories import GUEST, draft, make_emotion, make_speaker, make_user, open_session

pytestmark = pytest.mark.django_db


def test_a_turn_is_visible_to_its_owner_its_guest_and_roles_only(media: Path) -> None:
    sita, ravana, staff = make_user(), make_user("ravana"), make_user("operator", is_superuser=True)
    users = turn_record(session_id=open_session(user=sita).session.pk, draft=draft())
    guests = turn_record(session_id=open_session().session.pk, draft=draft())
    nobody = AnonymousUser()

    def sees(turn: Any, user: Any, guest_key: str) -> bool:
        return turn_visible(turn_id=turn.pk, user=user, guest_key=guest_key) is not None

    assert sees(users, sita, "")
    assert sees(users, staff, "")
    assert sees(guests, nobody, GUEST)
    assert sees(guests, staff, "")
    assert not sees(users, ravana, "")
    assert not sees(users, nobody, "")  # no guest key is no key: a user's session has an empty one too
    assert not sees(users, nobody, GUEST)
    assert not sees(guests, nobody, "another")
    assert not sees(guests, nobody, "")
    assert not sees(guests, ravana, GUEST)


def test_turns_of_a_session_come_in_order(media: Path) -> None:
    pk = open_session().session.pk
    for role in ("user", "assistant", "user"):
        turn_record(session_id=pk, draft=draft(role=role, codes=None))
    assert [(turn.index, turn.role) for turn in session_turns(session_id=pk)] == [
        (0, "user"),
        (1, "assistant"),
        (2, "user"),
    ]


def test_a_users_socket_ends_with_the_login(client: Client) -> None:
    user = make_user()
    client.force_login(user)
    key = client.session.session_key

    def allowed() -> bool:
        return socket_allowed(session_key=key, user_id=user.pk, guest_key="")

    assert allowed()
    assert not socket_allowed(session_key=None, user_id=user.pk, guest_key="")
    assert not socket_allowed(session_key=key, user_id=make_user("ravana").pk, guest_key="")
    user.is_active = False
    user.save()
    assert not allowed()
    user.is_active = True
    user.save()
    assert allowed()
    client.logout()
    assert not allowed()


def test_a_new_password_ends_open_sockets(client: Client) -> None:
    user = make_user()
    client.force_login(user)
    user.set_password("another-long-passphrase")
    user.save()
    assert not socket_allowed(session_key=client.session.session_key, user_id=user.pk, guest_key="")


def test_guests_stay_while_guests_are_allowed(settings: Any) -> None:
    assert socket_allowed(session_key=None, user_id=None, guest_key=GUEST)
    settings.VOICE_ALLOW_GUESTS = False
    assert not socket_allowed(session_key=None, user_id=None, guest_key=GUEST)


def test_the_page_offers_what_is_published_in_order(speaker: Speaker, emotion: Emotion) -> None:
    make_speaker("arjun", order=0, gender="male")
    make_speaker("hidden", order=0, is_published=False)
    make_emotion("hidden", order=0, is_published=False)
    page = json.loads(json.dumps(page_config(user=AnonymousUser(), ws_path="/ws/voice/", login_url="/login")))
    assert [item["slug"] for item in page["speakers"]] == ["arjun", "priya"]
    assert [item["slug"] for item in page["emotions"]] == ["neutral"]
    assert page["defaults"] == {
        "speaker": "priya",
        "emotion": "neutral",
        "quantizers": 8,
        "mode": "reconstruct",
        "turn_taking": "stream",
    }
    assert (page["authenticated"], page["guests_allowed"], page["debug"]) == (False, True, False)


def test_the_page_config_costs_two_queries(speaker: Speaker, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        page_config(user=AnonymousUser(), ws_path="/ws/voice/", login_url="/login")
