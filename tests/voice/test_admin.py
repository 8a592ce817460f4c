"""Sessions and turns in the admin: everything shows, nothing leaks, lists stay cheap, actions go through services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.speakers.models import Emotion, Speaker
from apps.voice.admin_widgets import BAR_WIDTH, latency_table
from apps.voice.models import Turn, VoiceSession
from apps.voice.services import turn_record
from tests.support.factories import draft, make_user, open_session

pytestmark = pytest.mark.django_db

LIST_QUERY_BUDGET = 11
"""Session, user, counts, filters' choices, the date hierarchy and the rows; never a query per row."""


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator", is_staff=True, is_superuser=True))
    return client


def add_turns(count: int) -> None:
    for number in range(count):
        owner = make_user(f"user{number}-{VoiceSession.objects.count()}")
        opened = open_session(user=owner, speaker="priya", emotion="neutral")
        turn_record(session_id=opened.session.pk, draft=draft())


@pytest.mark.parametrize("page", ["voice_voicesession", "voice_turn"])
def test_lists_cost_the_same_for_few_and_many_rows(
    operator: Client, media: Path, speaker: Speaker, emotion: Emotion, page: str, django_assert_max_num_queries: Any
) -> None:
    address = reverse(f"admin:{page}_changelist")
    add_turns(1)
    with django_assert_max_num_queries(LIST_QUERY_BUDGET) as few:
        assert operator.get(address).status_code == 200
    add_turns(9)
    with django_assert_max_num_queries(len(few.captured_queries)):
        response = operator.get(address)
    assert response.context["cl"].result_count == 10


def test_a_session_shows_its_turns_with_players_and_latency(operator: Client, media: Path, speaker: Speaker) -> None:
    opened = open_session()
    turn = turn_record(session_id=opened.session.pk, draft=draft(interrupted_at_ms=120))
    page = operator.get(reverse("admin:voice_voicesession_change", args=[opened.session.pk])).text
    assert f'<audio controls preload="none" src="/turns/{turn.pk}/audio"></audio>' in page
    assert f'<audio controls preload="none" src="/turns/{turn.pk}/output"></audio>' in page
    assert "<td>encode</td><td>2.2 ms</td>" in page
    session = VoiceSession.objects.get()
    for secret in (session.resume_hash, session.guest_key, opened.resume_token):
        assert secret not in page


def test_a_turn_page_shows_what_is_known(operator: Client, media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    page = operator.get(reverse("admin:voice_turn_change", args=[turn.pk])).text
    assert f"/turns/{turn.pk}/codes" in page
    assert "hifi@0123456789ab" in page
    assert "<form" in page
    assert 'name="duration_ms"' not in page  # truth is not editable


def test_nothing_in_the_pages_needs_inline_style_or_script(operator: Client, media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    page = operator.get(reverse("admin:voice_turn_change", args=[turn.pk])).text
    main = page[page.index('id="content"') :]
    assert "style=" not in main
    assert "onclick=" not in main


def test_search_and_filters_work(operator: Client, media: Path, speaker: Speaker, emotion: Emotion) -> None:
    add_turns(2)
    sessions = reverse("admin:voice_voicesession_changelist")
    turns = reverse("admin:voice_turn_changelist")
    assert operator.get(sessions, {"q": "user0"}).context["cl"].result_count == 1
    assert operator.get(sessions, {"status__exact": "ended"}).context["cl"].result_count == 0
    assert operator.get(turns, {"q": str(Turn.objects.first().pk)}).context["cl"].result_count == 1  # type: ignore[union-attr]
    assert operator.get(turns, {"speaker__id__exact": speaker.pk}).context["cl"].result_count == 2


def test_an_operator_ends_sessions(operator: Client) -> None:
    first, second = open_session().session, open_session().session
    data = {"action": "end", "_selected_action": [str(first.pk), str(second.pk)]}
    operator.post(reverse("admin:voice_voicesession_changelist"), data)
    assert set(VoiceSession.objects.values_list("status", "end_reason")) == {("ended", "operator")}


def test_looking_is_not_ending(client: Client) -> None:
    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_voicesession"))
    client.force_login(viewer)
    session = open_session().session
    address = reverse("admin:voice_voicesession_changelist")
    assert client.get(address).status_code == 200
    client.post(address, {"action": "end", "_selected_action": [str(session.pk)]})
    assert VoiceSession.objects.get().status == "live"


def test_sessions_and_turns_cannot_be_made_or_changed_here(operator: Client, media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    assert operator.get(reverse("admin:voice_turn_add")).status_code == 403
    assert operator.post(reverse("admin:voice_turn_change", args=[turn.pk]), {"duration_ms": 1}).status_code == 403
    assert Turn.objects.get().duration_ms == 500


def test_deleting_in_the_admin_removes_the_files(
    operator: Client, media: Path, django_capture_on_commit_callbacks: Any
) -> None:
    opened = open_session()
    turn_record(session_id=opened.session.pk, draft=draft())
    with django_capture_on_commit_callbacks(execute=True):
        address = reverse("admin:voice_voicesession_delete", args=[opened.session.pk])
        assert operator.post(address, {"post": "yes"}).status_code == 302
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_bars_are_in_proportion_and_unknown_stages_are_shown_too() -> None:
    html = latency_table(Turn(latency={"decode_ms": 5, "queue_ms": 10, "<b>_ms": 0}))
    assert html.index("queue") < html.index("decode") < html.index("&lt;b&gt;")
    assert f'width="{BAR_WIDTH / 2:.1f}"' in html
    assert "<table>" not in latency_table(Turn(latency={}))
    latency_table(Turn(latency={"queue_ms": 0}))
