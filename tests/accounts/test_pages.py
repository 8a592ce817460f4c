"""The account page, and what slows the guessing of passwords."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken
from apps.accounts.services import token_create
from tests.support.factories import make_user

pytestmark = pytest.mark.django_db

FORM = {"name": "laptop", "scopes": ["read", "chat"], "days": "30"}
RIGHT = {"username": "sita", "password": "a-long-passphrase"}
WRONG = {"username": "sita", "password": "guess"}


@pytest.fixture
def sita(client: Client) -> Client:
    client.force_login(make_user("sita"))
    client.cookies["django_language"] = "en"
    return client


def test_a_token_is_made_on_the_page_and_shown_once(sita: Client) -> None:
    made = sita.post("/accounts/tokens/", FORM)
    found = re.search(r"tvp_[\w-]{43}", made.text)
    assert found is not None
    assert "no-store" in made["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.user.get_username(), token.scopes) == ("sita", ["read", "chat"])
    assert abs(token.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    later = sita.get("/accounts/tokens/")
    assert "laptop" in later.text
    assert found[0] not in later.text
    answer = Client().get("/api/v1/preferences", headers={"authorization": f"Bearer {found[0]}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("change", [{"scopes": []}, {"scopes": ["root"]}, {"days": "4000"}, {"name": ""}])
def test_a_wrong_form_makes_nothing(sita: Client, change: dict[str, object]) -> None:
    assert sita.post("/accounts/tokens/", {**FORM, **change}).status_code == 400
    assert not ApiToken.objects.exists()


def test_one_revokes_ones_own(sita: Client) -> None:
    sita.post("/accounts/tokens/", FORM)
    token = ApiToken.objects.get()
    expires_at = timezone.now() + timedelta(days=1)
    others, _ = token_create(user=make_user("ravana"), name="x", scopes=["read"], expires_at=expires_at)
    assert sita.post(f"/accounts/tokens/{others.pk}/revoke/").status_code == 404
    assert sita.get(f"/accounts/tokens/{token.pk}/revoke/").status_code == 405
    assert sita.post(f"/accounts/tokens/{token.pk}/revoke/").status_code == 302
    assert list(ApiToken.objects.filter(revoked_at=None)) == [others]


def test_nobody_has_no_tokens(client: Client) -> None:
    assert client.get("/accounts/tokens/")["Location"].startswith("/accounts/login/")
    assert client.post("/accounts/tokens/", FORM).status_code == 302


def guess(client: Client, form: dict[str, str], address: str = "192.0.2.1", path: str = "/accounts/login/") -> int:
    return client.post(path, form, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/"])
def test_guessing_is_slowed_for_that_address_alone(client: Client, path: str) -> None:
    make_user("sita", is_staff=True)
    assert [guess(client, WRONG, path=path) for _ in range(4)] == [200] * 4
    assert guess(client, WRONG, path=path) == 429
    locked = client.post(path, RIGHT, REMOTE_ADDR="192.0.2.1")
    assert locked.status_code == 429  # the right password is not told apart any more
    assert "Content-Security-Policy" in locked
    assert guess(Client(), RIGHT, "192.0.2.2", path) == 302  # the owner, from home
    assert guess(Client(), {**WRONG, "username": "rama"}, path=path) == 200


def test_a_forwarded_address_is_believed_only_behind_our_proxy(client: Client, settings: object) -> None:
    make_user("sita")

    def forged(number: int) -> int:
        headers = {"x-forwarded-for": f"203.0.113.{number}, 192.0.2.7"}
        return client.post("/accounts/login/", WRONG, headers=headers).status_code

    assert [forged(number) for number in range(5)] == [200] * 4 + [429]
    settings.VOICE_TRUST_PROXY = True  # type: ignore[attr-defined]
    assert [forged(number) for number in range(5)] == [200] * 4 + [429]


def test_a_login_clears_the_count(client: Client) -> None:
    make_user("sita")
    for _ in range(3):
        assert [guess(client, WRONG) for _ in range(4)] == [200] * 4
        assert guess(client, RIGHT) == 302
        client.logout()
