"""Speakers, emotions and blends by REST: lists, ETags, idempotency, errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from rest_framework.test import APIClient

from apps.accounts.models import IdempotentAnswer
from apps.accounts.services import answers_clear
from apps.speakers.models import Speaker, VoiceBlend
from apps.voice.models import VoiceSession
from tests.support.factories import make_emotion, make_speaker, open_session

pytestmark = pytest.mark.django_db

RAVI = {"slug": "ravi", "name_te": "రవి", "name_en": "Ravi", "gender": "male", "is_published": True}
EDIT_SPEAKERS = ("speakers.view_speaker", "speakers.add_speaker", "speakers.change_speaker")


@pytest.fixture
def operator(person: Callable[..., User], program_of: Callable[..., APIClient]) -> APIClient:
    return program_of(person("operator", *EDIT_SPEAKERS, "speakers.add_voiceblend"))


# --- lists ---------------------------------------------------------------------------------------------------------


def test_nobody_sees_what_is_published_operators_see_all(api: APIClient, operator: APIClient) -> None:
    make_speaker("priya", order=1)
    make_speaker("hidden", is_published=False, order=2)
    assert [row["slug"] for row in api.get("/api/v1/speakers").json()["results"]] == ["priya"]
    assert api.get("/api/v1/speakers/hidden").status_code == 404
    assert [row["slug"] for row in operator.get("/api/v1/speakers").json()["results"]] == ["priya", "hidden"]


def test_filter_search_and_order(api: APIClient) -> None:
    make_speaker("arjun", gender="male", order=1, accent="coastal")
    make_speaker("priya", order=2)
    make_speaker("lakshmi", order=3)

    def slugs(query: str) -> list[str]:
        return [row["slug"] for row in api.get(f"/api/v1/speakers?{query}").json()["results"]]

    assert slugs("gender=male") == ["arjun"]
    assert slugs("accent=standard") == ["priya", "lakshmi"]
    assert slugs("search=laksh") == ["lakshmi"]
    assert slugs("ordering=-order") == ["lakshmi", "priya", "arjun"]
    answer = api.get("/api/v1/speakers?gender=robot")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "gender")


def test_pages_follow_each_other_without_gap_while_rows_come(api: APIClient) -> None:
    for number in range(7):
        make_emotion(f"e{number}", order=number + 1)
    seen: list[str] = []
    url = "/api/v1/emotions?page_size=3"
    while url:
        answer = api.get(url).json()
        seen += [row["slug"] for row in answer["results"]]
        url = answer["next"]
        if len(seen) == 3:
            make_emotion("a-late-one-before-all", order=0)
    assert seen == [f"e{number}" for number in range(7)]


@pytest.mark.parametrize("cursor", ["nonsense", "cD1u", "cD0lMDA=", "bz0tMQ==", "%00"])
def test_a_cursor_of_our_own_only(api: APIClient, cursor: str) -> None:
    make_emotion()
    answer = api.get(f"/api/v1/emotions?cursor={cursor}")
    assert answer.status_code in (200, 404)
    if answer.status_code == 404:
        assert "begin again" in answer.json()["detail"]


# --- ETag and If-Match ---------------------------------------------------------------------------------------------


def test_two_editors_cannot_both_win(operator: APIClient) -> None:
    make_speaker("priya")
    first = operator.get("/api/v1/speakers/priya")
    etag = first["ETag"]
    assert operator.get("/api/v1/speakers/priya", headers={"if-none-match": etag}).status_code == 304
    mine = operator.patch("/api/v1/speakers/priya", {"pitch_semitones": 2}, headers={"if-match": etag})
    assert (mine.status_code, mine.json()["pitch_semitones"]) == (200, 2)
    theirs = operator.patch("/api/v1/speakers/priya", {"pitch_semitones": -2}, headers={"if-match": etag})
    assert (theirs.status_code, theirs.json()["code"]) == (412, "changed_meanwhile")
    assert Speaker.objects.get().pitch_semitones == 2
    again = operator.patch("/api/v1/speakers/priya", {"rate": 1.1}, headers={"if-match": mine["ETag"]})
    assert again.status_code == 200


def test_shared_configuration_needs_if_match(operator: APIClient) -> None:
    make_speaker("priya")
    answer = operator.patch("/api/v1/speakers/priya", {"rate": 1.1})
    assert (answer.status_code, answer["Content-Type"]) == (428, "application/problem+json")
    assert "If-Match" in answer.json()["hint"]
    assert operator.patch("/api/v1/speakers/priya", {"rate": 1.1}, headers={"if-match": "*"}).status_code == 200


def test_the_slug_is_written_once(operator: APIClient) -> None:
    make_speaker("priya")
    operator.patch("/api/v1/speakers/priya", {"slug": "other", "rate": 1.5}, headers={"if-match": "*"})
    assert list(Speaker.objects.values_list("slug", "rate")) == [("priya", 1.5)]


# --- creation ------------------------------------------------------------------------------------------------------


def test_a_creation_says_where_it_is(operator: APIClient) -> None:
    answer = operator.post("/api/v1/speakers", RAVI)
    assert answer.status_code == 201
    there = operator.get(answer["Location"])
    assert (there.json(), there["ETag"]) == (answer.json(), answer["ETag"])


def test_a_retry_creates_nothing_and_gets_the_first_answer(operator: APIClient) -> None:
    first = operator.post("/api/v1/speakers", RAVI, headers={"idempotency-key": "k-1"})
    second = operator.post("/api/v1/speakers", RAVI, headers={"idempotency-key": "k-1"})
    assert (first.status_code, second.status_code, second["Idempotent-Replayed"]) == (201, 201, "true")
    assert (second.json(), second["Location"], second["ETag"]) == (first.json(), first["Location"], first["ETag"])
    assert Speaker.objects.count() == 1


def test_a_key_for_another_body_is_a_conflict(operator: APIClient) -> None:
    operator.post("/api/v1/speakers", RAVI, headers={"idempotency-key": "k-1"})
    other = operator.post("/api/v1/speakers", {**RAVI, "slug": "x"}, headers={"idempotency-key": "k-1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert Speaker.objects.count() == 1


def test_a_refused_creation_may_be_corrected_under_the_same_key(operator: APIClient) -> None:
    headers = {"idempotency-key": "k-1"}
    assert operator.post("/api/v1/speakers", {**RAVI, "rate": 9}, headers=headers).status_code == 400
    assert operator.post("/api/v1/speakers", RAVI, headers=headers).status_code == 201


def test_keys_belong_to_their_user_and_are_forgotten_after_a_day(
    operator: APIClient, person: Callable[..., User], program_of: Callable[..., APIClient], settings: Any
) -> None:
    operator.post("/api/v1/speakers", RAVI, headers={"idempotency-key": "k-1"})
    other = program_of(person("second", *EDIT_SPEAKERS))
    assert other.post("/api/v1/speakers", {**RAVI, "slug": "x"}, headers={"idempotency-key": "k-1"}).status_code == 201
    kept = IdempotentAnswer.objects.order_by("created_at")[0]
    assert answers_clear() == 0
    assert answers_clear(now=kept.created_at + timedelta(days=1, seconds=1)) >= 1


@pytest.mark.parametrize("key", ["", "x" * 201, "తెలుగు", "a\tb"])
def test_a_key_must_be_sound(operator: APIClient, key: str) -> None:
    answer = operator.post("/api/v1/speakers", RAVI, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")


@pytest.mark.django_db(transaction=True)
def test_retries_at_the_same_moment_create_once(
    person: Callable[..., User], program_of: Callable[..., APIClient]
) -> None:
    client = program_of(person("operator", *EDIT_SPEAKERS))

    def send(_: int) -> tuple[int, Any]:
        try:
            answer = client.post("/api/v1/speakers", RAVI, headers={"idempotency-key": "at-once"})
            return answer.status_code, answer.json()["created_at"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(send, range(4)))
    assert len(answers) == 1
    assert Speaker.objects.count() == 1


# --- blends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"priya": 1.0}, "at least two"),
        ({"priya": 0.5, "arjun": 0.6}, "add up"),
        ({"priya": 0.5, "nobody": 0.5}, "nobody"),
        ({"priya": "much", "arjun": 0.5}, "number"),
        ([1, 2], "at least two"),
    ],
)
def test_a_blend_must_add_up(operator: APIClient, weights: Any, words: str) -> None:
    make_speaker("priya")
    make_speaker("arjun", gender="male")
    blend = {"slug": "mix", "name_te": "మిశ్రమం", "name_en": "Mix", "weights": weights}
    answer = operator.post("/api/v1/blends", blend, headers={"accept-language": "en"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "weights"
    assert operator.post("/api/v1/blends", {**blend, "weights": {"priya": 0.4, "arjun": 0.6}}).status_code == 201
    assert VoiceBlend.objects.get().weights == {"priya": 0.4, "arjun": 0.6}


# --- problems ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("get", "/api/v1/nowhere", None, 404, "not_found"),
        ("post", "/api/v2/speakers", {}, 404, "not_found"),
        ("put", "/api/v1/speakers/priya", {}, 405, "method_not_allowed"),
        ("options", "/api/v1/speakers", {}, 405, "method_not_allowed"),
        ("post", "/api/v1/speakers", "{", 400, "parse_error"),
        ("post", "/api/v1/speakers", {}, 400, "invalid"),
        ("post", "/api/v1/speakers", [], 400, "invalid"),
    ],
)
def test_every_error_is_a_problem_that_says_what_to_do(
    operator: APIClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    raw = {"content_type": "application/json"} if isinstance(body, str) else {}
    answer = getattr(operator, method)(path, body, **raw)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["status"], problem["type"]) == (code, status, f"urn:problem:{code}")
    assert problem["detail"]
    assert problem["hint"]


# --- live conversations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "slug"), [("speakers", "priya"), ("emotions", "happy")])
def test_a_change_is_told_to_those_who_talk_with_it(
    person: Callable[..., User],
    program_of: Callable[..., APIClient],
    django_capture_on_commit_callbacks: Any,
    kind: str,
    slug: str,
) -> None:
    make_speaker("priya", order=1)
    make_speaker("ravi", gender="male", order=2)
    make_emotion("happy", order=1)
    make_emotion("calm", order=2)
    concerned, other = open_session(), open_session(speaker="ravi", emotion="calm")
    model = kind.removesuffix("s")
    client = program_of(person("operator", f"speakers.view_{model}", f"speakers.change_{model}"))
    with django_capture_on_commit_callbacks(execute=True):
        changed = client.patch(f"/api/v1/{kind}/{slug}", {"pitch_semitones": 3}, headers={"if-match": "*"})
    assert changed.status_code == 200
    assert VoiceSession.objects.get(pk=concerned.session.pk).event_seq == concerned.session.event_seq + 1
    assert VoiceSession.objects.get(pk=other.session.pk).event_seq == other.session.event_seq
