"""Tokens: shown once, hashed, scoped, expiring, revocable; and throttles per scope."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import ApiToken
from apps.accounts.services import token_create, token_revoke
from tests.support.factories import make_speaker

pytestmark = pytest.mark.django_db


@pytest.fixture
def sita(person: Callable[..., User]) -> User:
    return person("sita")


def make(user: User, *scopes: str, days: float = 30) -> tuple[ApiToken, str]:
    expires_at = timezone.now() + timedelta(days=days)
    return token_create(user=user, name="laptop", scopes=list(scopes or ["read"]), expires_at=expires_at)


def call(secret: str, path: str = "/api/v1/preferences") -> Any:
    return APIClient().get(path, headers={"authorization": f"Bearer {secret}"})


def test_the_secret_is_stored_nowhere(sita: User) -> None:
    token, secret = make(sita)
    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert len(secret) == len("tvp_") + 43
    assert secret not in str(row)
    assert call(secret).status_code == 200


def test_revoked_expired_unknown_and_disabled_open_nothing(sita: User) -> None:
    token, secret = make(sita)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    expired = call(secret)
    assert (expired.status_code, expired["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    token, secret = make(sita)
    token_revoke(token=token)
    revoked = call(secret)
    assert (revoked.status_code, revoked.json()) == (401, expired.json())
    assert call("tvp_" + "x" * 43).json() == expired.json()
    _, secret = make(sita)
    User.objects.update(is_active=False)
    assert call(secret).status_code == 401


def test_a_wrong_token_is_refused_even_where_everyone_may_read(db: None) -> None:
    make_speaker()
    assert APIClient().get("/api/v1/speakers").status_code == 200
    assert call("tvp_wrong", "/api/v1/speakers").status_code == 401


def test_a_token_does_what_its_scopes_say(sita: User) -> None:
    _, reader = make(sita, "read")
    client = APIClient(headers={"authorization": f"Bearer {reader}"})
    refused = client.post("/api/v1/sessions", {})
    assert refused.status_code == 403
    assert "'chat'" in refused.json()["detail"]
    assert client.patch("/api/v1/preferences", {"rate": 1.2}).status_code == 403
    _, talker = make(sita, "chat")
    client = APIClient(headers={"authorization": f"Bearer {talker}"})
    assert client.patch("/api/v1/preferences", {"rate": 1.2}).status_code == 200
    assert client.get("/api/v1/turns").status_code == 403


def test_a_token_never_exceeds_its_owner(sita: User) -> None:
    _, secret = make(sita, "read", "config:write", "train", "chat")
    client = APIClient(headers={"authorization": f"Bearer {secret}"})
    refused = client.post("/api/v1/speakers", {})
    assert refused.status_code == 403
    assert "speakers.add_speaker" in refused.json()["detail"]


def test_last_used_is_written_once_a_minute(sita: User) -> None:
    token, secret = make(sita)
    call(secret)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with CaptureQueriesContext(
        connection,
    ) as queries:
        call(secret)
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]
    ApiToken.objects.update(last_used_at=first - timedelta(seconds=61))
    call(secret)
    assert ApiToken.objects.get(pk=token.pk).last_used_at > first  # type: ignore[operator]


@pytest.mark.parametrize(
    ("scopes", "days"), [(["read"], 400), (["read"], -1), ([], 1), (["read", "read"], 1), (["root"], 1)]
)
def test_what_a_token_may_not_be(sita: User, scopes: list[str], days: int) -> None:
    with pytest.raises(ValidationError):
        token_create(user=sita, name="x", scopes=scopes, expires_at=timezone.now() + timedelta(days=days))
    assert not ApiToken.objects.exists()


def test_a_browser_needs_its_csrf_token(sita: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(sita)
    refused = client.patch("/api/v1/preferences", {"rate": 1.2})
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]


def test_each_scope_has_its_own_budget(sita: User, program_of: Callable[..., APIClient], settings: Any) -> None:
    settings.API_THROTTLE_RATES = {**settings.API_THROTTLE_RATES, "read": 3, "public": 2}
    client = program_of(sita)
    codes = [client.get("/api/v1/turns").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    late = client.get("/api/v1/turns")
    assert (late.status_code, late.json()["code"]) == (429, "throttled")
    assert 0 < int(late["Retry-After"]) <= 61
    assert client.patch("/api/v1/preferences", {"rate": 1.2}).status_code == 200
    nobody = APIClient()
    assert [nobody.get("/api/v1/speakers").status_code for _ in range(3)] == [200, 200, 429]
