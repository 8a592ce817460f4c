"""Sessions and turns in the admin: everything shows, nothing leaks, actions go through services."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from apps.speakers.models import Emotion, Speaker
from apps.training.models import Dataset
from apps.voice.admin.search import id_range
from apps.voice.admin.widgets import latency_bar, latency_breakdown
from apps.voice.models import Turn, VoiceSession
from apps.voice.services import session_end, session_suspend, turn_mark, turn_record
from tests.support.factories import draft, make_emotion, make_role, make_speaker, make_user, open_session

pytestmark = pytest.mark.django_db

SESSIONS = reverse("admin:voice_voicesession_changelist")
TURNS = reverse("admin:voice_turn_changelist")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_role("Operator"))
    return client


def add_turns(count: int) -> None:
    for number in range(count):
        owner = make_user(f"user{number}-{VoiceSession.objects.count()}")
        opened = open_session(user=owner, speaker="priya", emotion="neutral")
        turn_record(session_id=opened.session.pk, draft=draft())


def sent(form: Any) -> dict[str, Any]:
    """What a browser sends of a form that nobody touched."""
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    return {name: "" if value is None else value for name, value in values.items() if value is not False}


def shown(client: Client, address: str, **query: Any) -> int:
    response = client.get(address, query)
    assert response.status_code == 200
    return int(response.context["cl"].result_count)


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [SESSIONS, TURNS])
def test_lists_cost_the_same_for_few_and_many_rows(
    operator: Client, media: Path, speaker: Speaker, emotion: Emotion, address: str, django_assert_max_num_queries: Any
) -> None:
    add_turns(1)
    # session, user, their permissions (2), saved filters, count, rows, and one per filter with voices or moods (2)
    with django_assert_max_num_queries(10) as few:
        assert operator.get(address).status_code == 200
    add_turns(9)
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert shown(operator, address) == 10


def test_live_sessions_come_first(operator: Client) -> None:
    ended, live, suspended = (open_session().session.pk for _ in range(3))
    session_end(session_id=ended, reason="client")
    session_suspend(session_id=suspended)
    rows = operator.get(SESSIONS).context["cl"].result_list
    assert [row.pk for row in rows] == [live, suspended, ended]


def test_sessions_are_found_by_error_latency_user_and_id(operator: Client, media: Path) -> None:
    fine, lost = open_session(user=make_user("sita")).session, open_session().session
    session_suspend(session_id=lost.pk, fault="inference_lost")
    turn_record(session_id=fine.pk, draft=draft(role="assistant", response_ms=350))
    assert shown(operator, SESSIONS, fault="any") == shown(operator, SESSIONS, fault="inference_lost") == 1
    assert shown(operator, SESSIONS, fault="too_slow") == 0
    assert shown(operator, SESSIONS, latency="good") == 1
    assert shown(operator, SESSIONS, latency="slow") == 0
    assert shown(operator, SESSIONS, user="sit") == 1
    assert shown(operator, SESSIONS, user="nobody") == shown(operator, SESSIONS, user="sita", fault="any") == 0
    assert shown(operator, SESSIONS, q="sit") == shown(operator, SESSIONS, q=str(fine.pk)[:8]) == 1
    assert shown(operator, SESSIONS, status__exact="suspended") == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"created_at_from_0": "2026-03-05"}, 2),  # a day alone is that whole day
        ({"created_at_to_0": "2026-03-05"}, 2),
        ({"created_at_from_0": "2026-03-05", "created_at_to_0": "2026-03-05"}, 1),
        ({"created_at_from_0": "2026-03-05", "created_at_from_1": "13:00:00"}, 1),
        ({"created_at_from_0": "2026-03-07"}, 0),
    ],
)
def test_sessions_are_found_by_day(operator: Client, query: dict[str, str], found: int) -> None:
    for day in (4, 5, 6):
        session = open_session().session
        noon = timezone.make_aware(datetime(2026, 3, day, 12))
        VoiceSession.objects.filter(pk=session.pk).update(created_at=noon)
    assert shown(operator, SESSIONS, **query) == found


def test_turns_are_found_by_mark_latency_interruption_and_session(operator: Client, media: Path) -> None:
    session = open_session(user=make_user("sita")).session
    turn = turn_record(session_id=session.pk, draft=draft(role="assistant", response_ms=900, interrupted_at_ms=100))
    turn_record(session_id=session.pk, draft=draft())
    turn_mark(turn_id=turn.pk, mark="bad")
    for query in ({"mark": "bad"}, {"mark": "none"}, {"latency": "late"}, {"interrupted": "yes"}, {"q": str(turn.pk)}):
        assert shown(operator, TURNS, **query) == 1, query
    assert shown(operator, TURNS, q=str(session.pk)) == shown(operator, TURNS, q="sita") == 2
    assert shown(operator, TURNS, latency="fast") == shown(operator, TURNS, mark="good") == 0


@pytest.mark.parametrize(
    "query", [{"latency": "'"}, {"mark": "x"}, {"started_at_from_0": "never"}, {"q": "\x00"}, {"p": "x"}]
)
def test_nonsense_in_the_address_is_no_server_error(operator: Client, query: dict[str, str]) -> None:
    assert operator.get(TURNS, query).status_code in {200, 302, 400}


def test_the_beginning_of_an_id_is_a_range() -> None:
    low, high = id_range("a96b48c3") or (None, None)
    assert (str(low), str(high)) == ("a96b48c3-0000-0000-0000-000000000000", "a96b48c3-ffff-ffff-ffff-ffffffffffff")
    assert id_range("sita") is None
    assert id_range("abc") is None


# --- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_page_tells_no_secrets(operator: Client, media: Path, speaker: Speaker) -> None:
    opened = open_session()
    page = operator.get(reverse("admin:voice_voicesession_change", args=[opened.session.pk])).text
    session = VoiceSession.objects.get()
    for secret in (session.resume_hash, session.guest_key, opened.resume_token):
        assert secret not in page


def test_an_operator_takes_over_the_configuration(operator: Client, speaker: Speaker, emotion: Emotion) -> None:
    make_speaker("arjun")
    session = open_session(speaker="priya").session
    address = reverse("admin:voice_voicesession_change", args=[session.pk])
    form = operator.get(address).context["adminform"].form
    data = sent(form)
    before = VoiceSession.objects.get().event_seq
    data |= {"speaker": Speaker.objects.get(slug="arjun").pk, "pitch_semitones": "2.5"}
    assert operator.post(address, data).status_code == 302
    session.refresh_from_db()
    assert (session.speaker.slug, session.pitch_semitones) == ("arjun", 2.5)  # type: ignore[union-attr]
    assert session.event_seq == before + 1  # one event, and only for what changed
    assert operator.post(address, data | {"rate": "9"}).status_code == 200  # said in the form
    session.refresh_from_db()
    assert session.rate == 1


def test_a_withdrawn_voice_stays_but_cannot_be_chosen(operator: Client, speaker: Speaker) -> None:
    hidden = make_speaker("hidden", is_published=False)
    session = open_session(speaker="priya").session
    Speaker.objects.filter(slug="priya").update(is_published=False)
    address = reverse("admin:voice_voicesession_change", args=[session.pk])
    choices = operator.get(address).context["adminform"].form.fields["speaker"].queryset
    assert speaker in choices
    assert hidden not in choices


def test_operators_end_sessions_in_the_list_and_on_the_page(operator: Client) -> None:
    first, second, third = (open_session().session for _ in range(3))
    operator.post(SESSIONS, {"action": "end", "_selected_action": [str(first.pk), str(second.pk)]})
    address = reverse("admin:voice_voicesession_change", args=[third.pk])
    form = operator.get(address).context["adminform"].form
    data = sent(form)
    operator.post(address, data | {"voice_voicesession_end_now": "1"})
    assert set(VoiceSession.objects.values_list("status", "end_reason")) == {("ended", "operator")}


def test_looking_is_not_changing(client: Client, media: Path) -> None:
    client.force_login(make_role("Viewer"))
    session = open_session().session
    turn = turn_record(session_id=session.pk, draft=draft())
    address = reverse("admin:voice_voicesession_change", args=[session.pk])
    assert client.get(SESSIONS).status_code == client.get(address).status_code == client.get(TURNS).status_code == 200
    client.post(SESSIONS, {"action": "end", "_selected_action": [str(session.pk)]})
    client.post(address, {"voice_voicesession_end_now": "1", "rate": "2"})
    client.post(TURNS, {"action": "mark_good", "_selected_action": [str(turn.pk)]})
    client.post(TURNS, {"action": "delete_selected", "_selected_action": [str(turn.pk)], "post": "yes"})
    session.refresh_from_db()
    turn.refresh_from_db()
    assert (session.status, session.rate, turn.mark) == ("live", 1, "")


def test_the_timeline_holds_both_sides_on_one_clock(operator: Client, media: Path) -> None:
    session = open_session().session
    turn_record(session_id=session.pk, draft=draft(started_ms=1000, output_pcm=b""))
    turn_record(session_id=session.pk, draft=draft(role="assistant", started_ms=1900, pcm=b"", interrupted_at_ms=50))
    response = operator.get(reverse("admin:voice_voicesession_timeline", args=[session.pk]))
    stretches = response.context["stretches"]
    assert [(one["side"], one["start"], one["interrupted"]) for one in stretches] == [
        ("heard", 1000, None),
        ("answer", 1900, 50),
    ]
    for one in stretches:
        assert operator.get(one["audio"], headers={"range": "bytes=0-9"}).status_code == 206
        assert len(operator.get(one["peaks"], {"count": 10}).json()["peaks"]) == 10
    assert operator.get(reverse("admin:voice_voicesession_timeline", args=[uuid4()])).status_code == 302


# --- turns ---------------------------------------------------------------------------------------------------------


def test_a_turn_page_shows_what_is_known(operator: Client, media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    page = operator.get(reverse("admin:voice_turn_change", args=[turn.pk])).text
    assert f'<audio controls preload="none" src="/turns/{turn.pk}/audio"></audio>' in page
    assert f'<audio controls preload="none" src="/turns/{turn.pk}/output"></audio>' in page
    for words in (f"/turns/{turn.pk}/codes", "hifi@0123456789ab", "2.2 ms", f"/turns/{turn.pk}/audio/peaks"):
        assert words in page
    assert 'name="duration_ms"' not in page  # truth is not editable
    assert operator.get(reverse("admin:voice_turn_add")).status_code == 403


def test_an_operator_marks_with_a_note_and_takes_it_back(operator: Client, media: Path) -> None:
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    address = reverse("admin:voice_turn_change", args=[turn.pk])
    assert operator.post(address, {"mark": "good", "mark_note": "clear"}).status_code == 302
    turn.refresh_from_db()
    assert (turn.mark, turn.mark_note, turn.marked_by.username) == ("good", "clear", "operator")  # type: ignore[union-attr]
    operator.post(TURNS, {"action": "mark_bad", "_selected_action": [str(turn.pk)]})
    turn.refresh_from_db()
    assert (turn.mark, turn.mark_note) == ("bad", "clear")
    operator.post(TURNS, {"action": "unmark", "_selected_action": [str(turn.pk)]})
    turn.refresh_from_db()
    assert (turn.mark, turn.mark_note, turn.marked_by, turn.marked_at) == ("", "", None, None)


def test_only_those_who_prepare_datasets_may_add_to_one(client: Client, operator: Client, media: Path) -> None:
    dataset = Dataset.objects.create(name="conversations", source="conversation")
    turn = turn_record(session_id=open_session().session.pk, draft=draft())
    turn_mark(turn_id=turn.pk, mark="good")
    form = {"action": "add_to_dataset", "_selected_action": [str(turn.pk)]}
    assert "add_to_dataset" not in operator.get(TURNS).text
    client.force_login(make_role("Trainer"))
    assert str(dataset.pk) in client.post(TURNS, form).text
    for wrong in ("", "nonsense", str(uuid4())):
        assert client.post(TURNS, form | {"dataset": wrong}).status_code == 302
    # The speaker of this session was never asked: the service refuses, and the page says so.
    response = client.post(TURNS, form | {"dataset": str(dataset.pk)}, follow=True)
    assert [message.level_tag for message in response.context["messages"]][-1] == "error"
    turn_mark(turn_id=turn.pk, mark="")
    assert client.post(TURNS, form).status_code == 302  # none of them is good


def test_turns_are_deleted_in_bulk_with_their_files(
    operator: Client, media: Path, django_capture_on_commit_callbacks: Any
) -> None:
    session = open_session().session
    turns = [turn_record(session_id=session.pk, draft=draft()) for _ in range(12)]
    form = {"action": "delete_selected", "_selected_action": [str(turn.pk) for turn in turns[:11]]}
    page = operator.post(TURNS, form)
    assert page.status_code == 200
    assert len(page.context["deletable_objects"][0]) == 11  # ten, and "… and 1 more"
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(TURNS, form | {"post": "yes"})
    assert [turn.pk for turn in Turn.objects.all()] == [turns[11].pk]
    assert len([path for path in media.rglob("*") if path.is_file()]) == 3


def test_a_deleted_session_ends_and_takes_its_files(
    client: Client, media: Path, django_capture_on_commit_callbacks: Any
) -> None:
    client.force_login(make_role("Admin"))
    session = open_session().session
    turn_record(session_id=session.pk, draft=draft())
    with django_capture_on_commit_callbacks(execute=True):
        address = reverse("admin:voice_voicesession_delete", args=[session.pk])
        assert client.post(address, {"post": "yes"}).status_code == 302
    assert not VoiceSession.objects.exists()
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_the_bar_is_in_proportion_and_unknown_stages_are_listed() -> None:
    turn = Turn(latency={"decode_ms": 5, "queue_ms": 15, "<b>_ms": 1})
    with override("en"):
        html = latency_breakdown(turn)
    assert html.index("queue") < html.index("decode") < html.index("&lt;b&gt;")
    assert 'x="0.00" width="75.00"' in html
    assert "20 ms" in latency_bar(turn)  # the unknown one is in no sum
    assert "<svg" not in latency_bar(Turn(latency={"queue_ms": 0}))
    assert "<ul>" not in latency_breakdown(Turn(latency={}))


@pytest.mark.parametrize("address", [SESSIONS, TURNS])
def test_pages_hold_no_inline_code(operator: Client, media: Path, emotion: Emotion, address: str) -> None:
    make_emotion("angry")
    turn_record(session_id=open_session().session.pk, draft=draft())
    page = operator.get(address).text
    for forbidden in ("<style", " style=", " onclick=", "javascript:"):
        assert forbidden not in page
    assert "<script>" not in page
