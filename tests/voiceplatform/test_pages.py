"""What every page carries: language, security headers, static files, login."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.test import AsyncClient, Client

from tests.support.factories import make_user
from voiceplatform.env import BASE_DIR

pytestmark = pytest.mark.django_db


# --- headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/admin/login/", "/healthz", "/nowhere"])
def test_every_answer_is_locked_down(client: Client, path: str) -> None:
    response = client.get(path)
    policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"
    assert policy["media-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "microphone=(self)" in response["Permissions-Policy"]
    assert (response["X-Content-Type-Options"], response["X-Frame-Options"]) == ("nosniff", "DENY")
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/accounts/login/"])
def test_our_pages_need_no_inline_code(client: Client, path: str) -> None:
    page = client.get(path).text
    for tag in re.findall(r"<script\b[^>]*>", page):
        assert "src=" in tag or 'type="application/json"' in tag, tag
    assert not re.search(r"<style\b|\sstyle=|\son\w+=", page)


# --- language ------------------------------------------------------------------------------------------------------


def test_telugu_first_whatever_the_phone_says(client: Client) -> None:
    response = client.get("/", headers={"accept-language": "en-IN,en;q=0.9"})
    assert response["Content-Language"] == "te"
    assert '<html lang="te"' in response.text


def test_english_when_chosen(client: Client) -> None:
    client.post("/i18n/setlang/", {"language": "en", "next": "/"})
    response = client.get("/")
    assert response["Content-Language"] == "en"
    client.cookies["django_language"] = "xx"
    assert client.get("/")["Content-Language"] == "te"


# --- login ---------------------------------------------------------------------------------------------------------


def test_login_and_logout(client: Client) -> None:
    make_user("sita")
    form = {"username": "sita", "password": "a-long-passphrase", "next": "/"}
    assert client.get("/accounts/login/?next=/").status_code == 200
    response = client.post("/accounts/login/", form)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").context["page"]["authenticated"] is True
    assert client.post("/accounts/logout/")["Location"] == "/"
    assert client.get("/").context["page"]["authenticated"] is False


def test_login_does_not_lead_to_other_sites(client: Client) -> None:
    make_user("sita")
    form = {"username": "sita", "password": "a-long-passphrase", "next": "https://evil.example/"}
    assert client.post("/accounts/login/", form)["Location"] == "/"


# --- static files --------------------------------------------------------------------------------------------------


def one_static_name() -> str:
    for finder in get_finders():
        for name, _storage in finder.list(None):
            if name.startswith("admin/css/base"):
                return str(name)
    raise AssertionError("the admin's files are not found")


def test_static_files_are_served_without_collectstatic(client: Client) -> None:
    response = client.get(f"/static/{one_static_name()}")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert len(response.content) == int(response["Content-Length"]) > 0
    assert client.get("/static/nowhere.css").status_code == 404
    assert client.get("/static/../manage.py").status_code == 404


async def test_static_files_under_asgi_are_no_synchronous_stream(async_client: AsyncClient) -> None:
    """Django warns of a synchronous iterator there, and warnings fail."""
    response = await async_client.get(f"/static/{one_static_name()}")
    assert (response.status_code, response.streaming) == (200, False)
    assert response.content


def test_production_names_carry_hashes_also_in_module_imports(settings: Any, tmp_path: Path) -> None:
    """A missing import or a broken url() in our CSS fails here and not at the first deployment."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "voiceplatform.storage.HashedStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    from django.contrib.staticfiles.storage import staticfiles_storage

    assert re.search(r"base\.[0-9a-f]{12}\.css$", staticfiles_storage.url("admin/css/base.css"))
    modules = sorted((BASE_DIR / "frontend/static/voice").glob("*.js"))
    for module in modules:
        hashed = tmp_path / staticfiles_storage.stored_name(f"voice/{module.name}")
        for imported in re.findall(
            r"^(?:import|export)\b[^;]*?from\s+[\"'](\./[^\"']+)", hashed.read_text(), re.MULTILINE
        ):
            assert re.search(r"\.[0-9a-f]{12}\.js$", imported), f"{module.name} imports {imported}"
    with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
        staticfiles_storage.url("voice/nowhere.js")
