"""Sessions by REST: begun, followed, changed, ended; tickets; and nobody in another's conversation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import ApiToken
from apps.accounts.services import token_revoke
from apps.speakers.models import Emotion, Speaker
from apps.voice.errors import ResumeExpired
from apps.voice.models import SessionTicket, VoiceSession
from apps.voice.selectors import socket_allowed
from apps.voice.services import sessions_reap, ticket_redeem
from tests.support.factories import make_emotion, make_speaker, open_session

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def voices(db: None) -> tuple[Speaker, Emotion]:
    make_speaker("arjun", gender="male", order=2)
    return make_speaker("priya", order=1), make_emotion("happy")


@pytest.fixture
def sita(person: Callable[..., User], program_of: Callable[..., APIClient]) -> APIClient:
    return program_of(person("sita"))


@pytest.fixture
def ravana(person: Callable[..., User], program_of: Callable[..., APIClient]) -> APIClient:
    return program_of(person("ravana"))


def begin(program: APIClient, **configuration: Any) -> Any:
    answer = program.post("/api/v1/sessions", configuration)
    assert answer.status_code == 201, answer.json()
    return answer.json()


# --- beginning -----------------------------------------------------------------------------------------------------


def test_a_session_begins_with_its_configuration_and_a_ticket(sita: APIClient) -> None:
    opened = begin(sita, mode="reconstruct", speaker="male_young", rate=1.25, turn_taking="turn", client="my program")
    assert (opened["speaker"], opened["rate"], opened["status"]) == ("arjun", 1.25, "suspended")
    assert opened["ticket"]["socket"] == "/ws/voice/"
    row = VoiceSession.objects.get()
    assert (str(row.pk), row.owner.username, row.turn_taking) == (opened["id"], "sita", "turn")  # type: ignore[union-attr]
    assert opened["ticket"]["ticket"] not in str(VoiceSession.objects.values().get())
    assert opened["ticket"]["ticket"] not in str(SessionTicket.objects.values().get())


def test_a_ticket_is_good_once(sita: APIClient) -> None:
    opened = begin(sita)
    redeemed = ticket_redeem(ticket=opened["ticket"]["ticket"])
    assert redeemed.session.status == "live"
    assert redeemed.session.owner == User.objects.get()
    assert redeemed.api_token_id == ApiToken.objects.get().pk
    with pytest.raises(ResumeExpired):
        ticket_redeem(ticket=opened["ticket"]["ticket"])


def test_a_ticket_is_good_for_half_a_minute_and_so_is_the_session(sita: APIClient) -> None:
    opened = begin(sita)
    SessionTicket.objects.update(expires_at=timezone.now())
    with pytest.raises(ResumeExpired):
        ticket_redeem(ticket=opened["ticket"]["ticket"])
    assert sessions_reap(now=timezone.now() + timedelta(seconds=31)) == 1
    assert VoiceSession.objects.get().status == "ended"


def test_a_revoked_token_ends_its_ticket_and_its_socket(sita: APIClient) -> None:
    opened, other = begin(sita), begin(sita)
    redeemed = ticket_redeem(ticket=opened["ticket"]["ticket"])
    rights: dict[str, Any] = {
        "session_key": None,
        "user_id": redeemed.session.owner_id,
        "guest_key": "",
        "api_token_id": redeemed.api_token_id,
    }
    assert socket_allowed(**rights)
    token_revoke(token=ApiToken.objects.get())
    assert not socket_allowed(**rights)
    with pytest.raises(ResumeExpired):
        ticket_redeem(ticket=other["ticket"]["ticket"])


def test_a_browsers_ticket_ends_with_its_login(person: Callable[..., User]) -> None:
    client = APIClient()
    client.force_login(person("sita"))
    redeemed = ticket_redeem(ticket=begin(client)["ticket"]["ticket"])
    rights: dict[str, Any] = {
        "session_key": redeemed.login,
        "user_id": redeemed.session.owner_id,
        "guest_key": "",
        "api_token_id": None,
    }
    assert socket_allowed(**rights)
    client.logout()
    assert not socket_allowed(**rights)


def test_a_new_ticket_replaces_the_old_one(sita: APIClient) -> None:
    opened = begin(sita)
    fresh = sita.post(f"/api/v1/sessions/{opened['id']}/ticket")
    assert fresh.status_code == 201
    with pytest.raises(ResumeExpired):
        ticket_redeem(ticket=opened["ticket"]["ticket"])
    assert str(ticket_redeem(ticket=fresh.json()["ticket"]).session.pk) == opened["id"]


def test_a_retried_creation_opens_one_session(sita: APIClient) -> None:
    headers = {"idempotency-key": "one"}
    first = sita.post("/api/v1/sessions", {"mode": "talk"}, headers=headers)
    second = sita.post("/api/v1/sessions", {"mode": "talk"}, headers=headers)
    assert first.json() == second.json()
    assert VoiceSession.objects.count() == 1


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"speaker": "nobody"}, "nobody"),
        ({"emotion": "nothing"}, "nothing"),
        ({"rate": 9}, "rate"),
        ({"quantizers": 0}, "quantizers"),
        ({"mode": "sing"}, "mode"),
        ({"endpoint_min_ms": 900, "endpoint_max_ms": 300}, "endpoint"),
    ],
)
def test_what_cannot_be_is_said(sita: APIClient, wish: dict[str, Any], words: str) -> None:
    answer = sita.post("/api/v1/sessions", wish)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert answer.json()["hint"]
    assert not VoiceSession.objects.exists()


# --- changing ------------------------------------------------------------------------------------------------------


def test_a_change_reaches_the_row_and_raises_its_event(sita: APIClient) -> None:
    opened = begin(sita)
    before = VoiceSession.objects.get()
    answer = sita.patch(f"/api/v1/sessions/{opened['id']}", {"speaker": "arjun", "pitch_semitones": 3, "now": True})
    assert (answer.status_code, answer.json()["speaker"], answer.json()["pitch_semitones"]) == (200, "arjun", 3)
    after = VoiceSession.objects.get()
    assert after.event_seq == before.event_seq + 1


def test_a_heart_beat_is_no_change_but_another_editor_is(sita: APIClient) -> None:
    opened = begin(sita)
    url = f"/api/v1/sessions/{opened['id']}"
    etag = sita.get(url)["ETag"]
    VoiceSession.objects.update(last_seen=timezone.now() + timedelta(seconds=5))
    assert sita.get(url)["ETag"] == etag
    assert sita.patch(url, {"rate": 1.1}, headers={"if-match": etag}).status_code == 200
    assert sita.patch(url, {"rate": 1.2}, headers={"if-match": etag}).status_code == 412


def test_an_ended_session_is_not_changed(sita: APIClient) -> None:
    opened = begin(sita)
    url = f"/api/v1/sessions/{opened['id']}"
    assert sita.post(f"{url}/end").json()["end_reason"] == "client"
    assert sita.post(f"{url}/end").status_code == 200
    for answer in (sita.patch(url, {"rate": 1.1}), sita.post(f"{url}/ticket"), sita.post(f"{url}/interrupt")):
        assert (answer.status_code, answer.json()["code"]) == (409, "session_ended")


# --- whose it is ---------------------------------------------------------------------------------------------------


def test_nobody_is_in_anothers_session(sita: APIClient, ravana: APIClient) -> None:
    opened = begin(sita)
    guest = open_session()
    assert ravana.get("/api/v1/sessions").json()["results"] == []
    for pk in (opened["id"], guest.session.pk, uuid4()):
        url = f"/api/v1/sessions/{pk}"
        answers = [
            ravana.get(url),
            ravana.patch(url, {"rate": 2}),
            *(ravana.post(f"{url}/{verb}") for verb in ("end", "ticket", "interrupt", "forget")),
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
    assert APIClient().get("/api/v1/sessions").status_code == 401


def test_a_viewer_sees_an_operator_changes_and_neither_talks_for_another(
    sita: APIClient, person: Callable[..., User], program_of: Callable[..., APIClient]
) -> None:
    url = f"/api/v1/sessions/{begin(sita)['id']}"
    viewer = program_of(person("viewer", "voice.view_voicesession"))
    operator = program_of(person("operator", "voice.view_voicesession", "voice.change_voicesession"))
    assert viewer.get(url).status_code == 200
    assert viewer.patch(url, {"rate": 2}).status_code == viewer.post(f"{url}/end").status_code == 403
    assert operator.patch(url, {"rate": 2}).status_code == 200
    assert operator.post(f"{url}/ticket").status_code == operator.post(f"{url}/forget").status_code == 403
    assert operator.post(f"{url}/end").json()["end_reason"] == "operator"


# --- preferences and figures ---------------------------------------------------------------------------------------


def test_sessions_begin_with_the_persons_preferences(sita: APIClient) -> None:
    assert sita.get("/api/v1/preferences").json() == {"speaker": None, "emotion": None, "rate": 1.0}
    kept = sita.patch("/api/v1/preferences", {"speaker": "arjun", "rate": 0.8})
    assert kept.json() == {"speaker": "arjun", "emotion": None, "rate": 0.8}
    assert sita.get("/api/v1/preferences")["ETag"] == kept["ETag"]
    opened = begin(sita)
    assert (opened["speaker"], opened["rate"]) == ("arjun", 0.8)
    assert sita.patch("/api/v1/preferences", {"speaker": "nobody"}).status_code == 400
    assert sita.patch("/api/v1/preferences", {"speaker": None}).json()["speaker"] is None


def test_figures_without_names(sita: APIClient, settings: Any, tmp_path: Path) -> None:
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/nowhere.sock"]
    open_session()
    stats = sita.get("/api/v1/stats").json()
    assert stats["live_sessions"] == 1
    assert stats["inference"] == [{"ok": False, "error": "FileNotFoundError"}]
    assert str(tmp_path) not in str(stats)
