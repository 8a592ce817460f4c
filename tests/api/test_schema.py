"""The schema: its snapshot, its pages, and schemathesis with it in every role."""

from __future__ import annotations

import io
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
import yaml
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from rest_framework.test import APIClient
from schemathesis.core import NotSet

from tests.api.matrix import PEOPLE
from tests.api.world import World, make_world
from tests.support.factories import make_user
from tests.support.stack import ROOT
from voiceplatform.api.examples import EXAMPLES as REQUESTS

SNAPSHOT = ROOT / "docs/openapi.yaml"
EXAMPLES = {"nobody": 1, "sita": 3, "ravana": 1, "Viewer": 1, "Operator": 2, "Trainer": 2, "Admin": 3}
"""Requests for each operation: many enough to find what is wrong over time, few enough for every run."""


def generated() -> str:
    out = io.StringIO()
    call_command("spectacular", "--lang", "en", "--validate", "--fail-on-warn", stdout=out)
    return out.getvalue()


def test_the_snapshot_is_what_the_code_says() -> None:
    """Any warning of the generator fails here as well."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has other bounds of whole numbers, which the schema tells")
    assert SNAPSHOT.read_text().strip() == generated().strip(), (
        "the API changed: run `make openapi`, look at the difference, and commit it"
    )


def test_every_operation_is_described_and_can_fail_in_words() -> None:
    schema = yaml.safe_load(SNAPSHOT.read_text())
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["description"].strip(), (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
            assert operation["tags"] not in ([], ["api"]), (method, path)


def test_every_json_request_has_an_example_that_its_schema_allows() -> None:
    schema = yaml.safe_load(SNAPSHOT.read_text())
    shown = 0
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is None:
                continue
            examples = [one["value"] for one in body.get("examples", {}).values()]
            assert examples, f"{method} {path}: add one to voiceplatform/api/examples.py"
            # OpenAPI 3.0 bounds numbers as draft 4 does
            check = Draft4Validator({**body["schema"], "components": schema["components"]})
            for example in examples:
                faults = [f"{error.json_path}: {error.message}" for error in check.iter_errors(example)]
                assert not faults, (method, path, faults)
                shown += 1
    assert shown > len(REQUESTS)
    assert all(path in schema["paths"] for _method, path in REQUESTS)


@pytest.mark.django_db
def test_what_is_served_is_the_snapshot(client: Client) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("as above")
    served = client.get("/api/v1/schema")
    assert yaml.safe_load(served.content) == yaml.safe_load(SNAPSHOT.read_text())
    assert json.loads(client.get("/api/v1/schema?format=json").content)["openapi"].startswith("3.")


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_load_nothing_from_elsewhere(client: Client, page: str) -> None:
    answer = client.get(f"/api/v1/{page}")
    assert "//" not in answer.text.replace("<!doctype html>", "")
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "connect-src 'self'" in policy
    for name in ("swagger-ui-dist/swagger-ui-bundle.js", "redoc/bundles/redoc.standalone.js"):
        assert client.get(f"/static/drf_spectacular_sidecar/{name}").status_code == 200


@pytest.fixture
def world(db: None, settings: Any, tmp_path: Path) -> World:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/nowhere.sock"]
    return make_world(owner=make_user("sita"))


@pytest.mark.parametrize("name", PEOPLE)
def test_no_request_that_the_schema_allows_is_an_error_of_ours(name: str, world: World) -> None:
    client = APIClient(raise_request_exception=False)
    if name != "nobody":
        user = User.objects.filter(username=name).first() or make_user(name)
        user.groups.set(Group.objects.filter(name=name))
        client.force_login(User.objects.get(pk=user.pk))
    for operation, strategy in operations():
        try_out(operation, strategy, client, world, EXAMPLES[name])


@cache
def operations() -> list[tuple[Any, Any]]:
    """Each operation of the schema, and the requests that it allows."""
    schema = schemathesis.openapi.from_dict(yaml.safe_load(SNAPSHOT.read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(found.ok(), found.ok().as_strategy()) for found in schema.get_all_operations()]


def try_out(operation: Any, strategy: Any, client: APIClient, world: World, examples: int) -> None:
    """Some requests of one operation, each undone; an answer of 500 or above fails, with the request."""

    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, real=st.booleans())
    def once(case: Any, real: bool) -> None:
        path = operation.path
        for key, value in (case.path_parameters or {}).items():
            known = world.arguments_for(operation.path, key) if real or examples == 1 else value
            path = path.replace(f"{{{key}}}", quote(str(known), safe=""))
        with transaction.atomic():
            point = transaction.savepoint()
            answer = send(client, case, path)
            transaction.savepoint_rollback(point)
        asked = f"{operation.method.upper()} {path} {case.query} {case.body!r}"
        assert answer.status_code < 500 or answer.status_code == 507, f"{asked}: {answer.content[:500]!r}"
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json", (operation.method, path)

    once()


def send(client: APIClient, case: Any, path: str) -> Any:
    """The request that a case describes."""
    headers = {key: str(value) for key, value in dict(case.headers or {}).items()}
    body: dict[str, Any] = {}
    if case.media_type == "multipart/form-data":
        fields = case.body if isinstance(case.body, dict) else {}
        body = {"data": {key: str(value) for key, value in fields.items()}, "format": "multipart"}
    elif case.media_type is not None and not isinstance(case.body, NotSet):
        body = {"data": case.body, "format": "json"}
    query = "&".join(
        f"{quote(str(key))}={quote(str(one), errors='replace')}"
        for key, value in dict(case.query or {}).items()
        for one in (value if isinstance(value, list) else [value])
    )
    return getattr(client, case.method.lower())(f"{path}?{query}" if query else path, headers=headers, **body)
