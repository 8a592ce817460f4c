"""A hundred thousand turns: what Postgres reads for each list page stays bounded, whatever filter is on.

Times depend on the machine (``python -m benchmarks admin`` tells them); rows read do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.voice.models import Turn
from benchmarks.rows import make_rows
from tests.support.factories import make_role
from voiceplatform.admin_tools import COUNT_LIMIT

TURNS, SESSIONS = 100_000, 5_000
PAGES = {
    "turns": reverse("admin:voice_turn_changelist"),
    "sessions": reverse("admin:voice_voicesession_changelist"),
    "home": reverse("admin:index"),
}
TABLES = ("voice_turn", "voice_voicesession")
ROWS_READ_MAX = {"turns": 3 * COUNT_LIMIT, "sessions": 3 * COUNT_LIMIT, "home": 4 * COUNT_LIMIT}
"""A count that stops at its limit (and passes over some rows on the way) and one page."""


def rows_read(plan: dict[str, Any]) -> int:
    """Rows of turns and sessions that the plan took up, used or not, in all loops."""
    own = 0
    if plan.get("Relation Name") in TABLES:
        taken = (
            plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        )
        own = int(taken * plan["Actual Loops"])
    return own + sum(rows_read(part) for part in plan.get("Plans", ()))


def explain(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        found = cursor.fetchone()[0]
    plans: Any = json.loads(found) if isinstance(found, str) else found
    return dict(plans[0]["Plan"])


@pytest.fixture(scope="module")
def full_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        if connection.vendor != "postgresql":
            pytest.skip("the plans are Postgres's")
        made = make_rows(turns=TURNS, sessions=SESSIONS)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE voice_turn, voice_voicesession")
    yield
    with django_db_blocker.unblock():
        made.remove()


@pytest.mark.django_db
@pytest.mark.usefixtures("full_database")
@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("turns", {}),
        ("turns", {"p": 100}),
        ("turns", {"role__exact": "assistant"}),
        ("turns", {"mark": "good"}),
        ("turns", {"mark": "none"}),
        ("turns", {"latency": "late"}),
        ("turns", {"latency": "good"}),
        ("turns", {"interrupted": "yes"}),
        ("turns", {"q": "bench-17"}),
        ("turns", {"q": "0000a"}),
        ("sessions", {}),
        ("sessions", {"status__exact": "live"}),
        ("sessions", {"latency": "late"}),
        ("sessions", {"fault": "any"}),
        ("sessions", {"q": "bench-17"}),
        ("sessions", {"user": "bench-17"}),
        ("sessions", {"created_at_from_0": "2026-01-01", "created_at_to_0": "2026-01-02"}),
        ("home", {}),
    ],
)
def test_no_list_reads_the_whole_table(client: Client, page: str, query: dict[str, Any]) -> None:
    client.force_login(make_role("Operator"))
    with CaptureQueriesContext(connection) as caught:
        response = client.get(PAGES[page], query)
    assert response.status_code == 200
    assert len(caught) <= 14
    selects = [one["sql"] for one in caught if any(f'FROM "{table}"' in one["sql"] for table in TABLES)]
    assert selects
    read = {sql: rows_read(explain(sql)) for sql in selects}
    worst = max(read, key=lambda sql: read[sql])
    assert sum(read.values()) <= ROWS_READ_MAX[page], f"{read[worst]} rows: {worst[:600]}"


@pytest.mark.django_db
@pytest.mark.usefixtures("full_database")
def test_what_is_beyond_the_count_is_said(client: Client) -> None:
    client.force_login(make_role("Viewer"))
    paginator = client.get(PAGES["turns"]).context["cl"].paginator
    assert Turn.objects.count() >= TURNS
    assert paginator.more
    assert paginator.num_pages == COUNT_LIMIT // 50
