"""Every address and admin view x everyone, by the tables of :mod:`tests.api.matrix`; one without a row fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from rest_framework.test import APIClient

from tests.api import matrix
from tests.api.matrix import PEOPLE, Row
from tests.api.world import World, make_world
from tests.support.endpoints import Endpoint, endpoints
from tests.support.factories import make_user

pytestmark = pytest.mark.django_db

ROLES = PEOPLE[3:]
GENERATED = {"changelist": "vc", "add": "a", "change": "vc", "history": "v", "delete": "d"}


@cache
def addresses() -> dict[str, Endpoint]:
    return {endpoint.name: endpoint for endpoint in endpoints()}


def generated_admin_rows() -> dict[str, list[Row]]:
    """What the letters of MODELS mean for the standard pages of each registered model."""
    rows: dict[str, list[Row]] = {}
    for model in admin.site._registry:
        letters = matrix.MODELS.get(model._meta.label_lower)
        if letters is None:
            continue
        prefix = f"admin:{model._meta.app_label}_{model._meta.model_name}"

        def expected(wanted: str, letters: tuple[str, ...] = letters) -> str:
            return " ".join(["in"] * 3 + ["ok" if set(wanted) & set(own) else "no" for own in letters])

        for page, wanted in GENERATED.items():
            rows[f"{prefix}_{page}"] = [Row("get", expected(wanted))]
        rows[f"{prefix}_change"].append(Row("post", expected("c")))
        rows[f"{prefix}_add"].append(Row("post", expected("a")))
        rows[f"{prefix}_delete"].append(Row("post", expected("d"), {"post": "yes"}))
        bare = f"admin/{model._meta.app_label}/{model._meta.model_name}/<path:object_id>/"
        rows[bare] = [Row("get", matrix.STAFF)]
    # a model without pages of its own has letters, but no addresses
    return {name: own for name, own in rows.items() if name in addresses()}


GROUPS = {
    "api": matrix.API,
    "pages": matrix.PAGES,
    "pages of the admin": matrix.ADMIN_PAGES,
    "models in the admin": generated_admin_rows(),
}
ROWS = {name: rows for group in GROUPS.values() for name, rows in group.items()}


def test_every_address_has_a_row() -> None:
    missing = []
    for endpoint in endpoints():
        rows = {row.method for row in ROWS.get(endpoint.name, [])}
        wanted = endpoint.methods if endpoint.rest else frozenset()
        if not rows or wanted - rows:
            missing.append(f"{endpoint.name} ({', '.join(sorted(wanted - rows)) or 'any method'}) at /{endpoint.route}")
    assert not missing, "say in tests/api/matrix.py who may do this:\n" + "\n".join(missing)


def test_every_row_has_an_address() -> None:
    assert not sorted(set(ROWS) - set(addresses())), "rows of tests/api/matrix.py for addresses that are gone"


def test_every_model_of_the_admin_has_its_letters() -> None:
    models = {model._meta.label_lower for model in admin.site._registry}
    assert models == set(matrix.MODELS)


@pytest.fixture(scope="module")
def clients(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, APIClient]]:
    """Everyone, logged in: outside of the tests' transactions, so that it is done once."""
    with django_db_blocker.unblock():
        made = {name: APIClient() for name in PEOPLE}
        for name in PEOPLE[1:]:
            user = make_user(name.lower())
            if name in ROLES:
                user.groups.add(Group.objects.get(name=name))
            made[name].force_login(User.objects.get(pk=user.pk))
        yield made
        User.objects.filter(username__in=[name.lower() for name in PEOPLE]).delete()


@pytest.fixture
def world(clients: dict[str, APIClient], settings: Any, tmp_path: Path) -> World:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/nowhere.sock"]
    return make_world(owner=User.objects.get(username="sita"))


@contextmanager
def undone(client: APIClient) -> Iterator[None]:
    """Whatever happens inside is rolled back, a log-out too."""
    cookies = SimpleCookie(client.cookies)
    with transaction.atomic():
        point = transaction.savepoint()
        yield
        transaction.savepoint_rollback(point)
    client.cookies = cookies


def url_of(name: str, world: World) -> str:
    if name == "api:nowhere":
        return "/api/v1/nowhere"
    if name.startswith("admin/(?P<url>"):
        return "/admin/nowhere/"
    if name.startswith("admin/"):
        model = re.match(r"admin/(\w+)/(\w+)/", name)
        assert model is not None
        return f"/{name.split('<')[0]}{world.admin_object(f'{model[1]}.{model[2]}').pk}/"
    args, kwargs = world.arguments(name, addresses()[name].route)
    return reverse(name, args=args, kwargs=kwargs)


def verdict(response: Any) -> str:
    """The status, or in one word what kind of answer it is."""
    if response.status_code == 302 and "/login/?next=" in response["Location"]:
        return "in"
    return {403: "no"}.get(response.status_code, str(response.status_code))


def agrees(expected: str, got: str) -> bool:
    if expected == "ok":
        return got.isdigit() and int(got) < 500 and got not in ("401", "404")
    return expected == got or (expected == "403" and got == "no")


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin's pages are decided on but not drawn: that alone takes nine tenths of the time."""
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")


@pytest.mark.parametrize("group", GROUPS)
def test_who_may(group: str, world: World, clients: dict[str, APIClient], unrendered: None) -> None:
    wrong = []
    for name, rows in GROUPS[group].items():
        if name in addresses():
            url = url_of(name, world)
            wrong += [fault for row in rows for fault in faults(name, url, row, world, clients)]
    assert not wrong, "\n" + "\n".join(wrong)


def faults(name: str, url: str, row: Row, world: World, clients: dict[str, APIClient]) -> Iterator[str]:
    """A line for each person who gets something else than the row says."""
    body: Any = {key: world.fill(value) for key, value in row.body.items()}
    options: dict[str, Any] = {"headers": row.headers}
    if row.method != "get":
        options["format"] = "json" if name.startswith(("api:", "simple-")) else "multipart"
    for person, expected in zip(PEOPLE, row.expected.split(), strict=True):
        with undone(clients[person]):
            ask = getattr(clients[person], row.method)
            answer = ask(f"{url}?{row.query}" if row.query else url, body or None, **options)
            got = verdict(answer)
            if answer.streaming:
                list(answer.streaming_content)  # read to its end, it closes its file
        if not agrees(expected, got):
            yield f"{row.method.upper()} {url} ({name}) as {person}: expected {expected}, got {got}"
