"""The first page answers "is it well?" from what is really so, within a bound of queries."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.console.alerts import alerts
from apps.console.chart import chart
from apps.console.wellness import Disk, Latency, Server, latency, percentile, servers
from apps.training.services import heartbeat_record
from apps.voice import servers as routed
from apps.voice.services import session_suspend, turn_record
from tests.support.factories import draft, make_role, make_user, open_session
from tests.support.servers import Redis

HOME = reverse("admin:index")
FINE = Server("unix:///a", active=1, capacity=8, free=7, ticks=1000)
CALM = Latency(answers=3, p50=200, p95=300, interrupted=0, curve=())
ROOM = Disk(total_gb=100, free_gb=50)


def found(**changes: Any) -> list[tuple[str, str]]:
    facts: dict[str, Any] = {
        "servers": [FINE],
        "disk": ROOM,
        "latency": CALM,
        "sessions": {"faults": 0},
        "heartbeats": {"io": 10.0},
        "queues": ["io"],
        "failed_jobs": 0,
        **changes,
    }
    return [(alert.level, alert.what) for alert in alerts(**facts)]


def test_nothing_to_say_when_all_is_well() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"servers": []}, "bad"),
        ({"servers": [Server("a", problem="refused")]}, "bad"),
        ({"servers": [FINE, Server("b", problem="refused")]}, "warn"),
        ({"servers": [Server("a", capacity=8, active=8, free=0)]}, "bad"),
        ({"servers": [Server("a", free=1, ticks=100, late=2)]}, "bad"),
        ({"latency": Latency(100, 200, 401, 0, ())}, "warn"),
        ({"heartbeats": {}}, "warn"),
        ({"heartbeats": {"io": 121.0}}, "warn"),
        ({"disk": Disk(100, 9.9)}, "bad"),
        ({"sessions": {"faults": 3}}, "warn"),
        ({"failed_jobs": 1}, "warn"),
    ],
)
def test_each_trouble_is_said_once_with_its_weight(changes: dict[str, Any], level: str) -> None:
    assert [kind for kind, _what in found(**changes)] == [level]


def test_the_worst_comes_first() -> None:
    assert [level for level, _what in found(heartbeats={}, disk=Disk(100, 1))] == ["bad", "warn"]


@pytest.mark.parametrize(("values", "share", "expected"), [([], 0.5, None), ([7], 0.95, 7), (range(1, 101), 0.95, 95)])
def test_percentiles_are_of_nearest_rank(values: Any, share: float, expected: int | None) -> None:
    assert percentile(list(values), share) == expected


def test_a_curve_breaks_where_there_is_nothing_and_shows_lone_points() -> None:
    drawn = chart({"p50": [None, 100, 200, None, 300, None]}, ["a", "b", "c", "d", "e", "f"], target=400)
    line = drawn.lines[0]
    assert line.path.count("M") == 2
    assert line.path.count("L") == 1
    assert len(line.dots) == 1
    assert drawn.rules[-1][1] == "400"  # the scale ends at a round number that holds the target
    assert drawn.target_y == drawn.rules[-1][0]


@pytest.mark.django_db
def test_latency_counts_answers_of_the_window_alone(media: Path) -> None:
    now = timezone.now()
    session = open_session().session
    for minutes, response_ms in [(1, 100), (2, 300), (90, 5000)]:
        ended = now - timedelta(minutes=minutes)
        turn = draft(
            role="assistant", response_ms=response_ms, ended_at=ended, interrupted_at_ms=5 if minutes == 2 else None
        )
        turn_record(session_id=session.pk, draft=turn)
    turn_record(session_id=session.pk, draft=draft())
    hour = latency(now=now, window=timedelta(hours=1))
    assert (hour.answers, hour.p50, hour.p95, hour.interrupted) == (2, 100, 300, 1)
    assert sum(p50 is not None for _at, p50, _p95 in hour.curve) == 2
    assert latency(now=now, window=timedelta(hours=2)).answers == 3


@pytest.mark.django_db
def test_the_page_shows_figures_and_what_to_do(client: Client, django_assert_max_num_queries: Any) -> None:
    client.force_login(make_role("Viewer"))
    open_session(user=make_user("sita"))
    session_suspend(session_id=open_session().session.pk, fault="too_slow")
    heartbeat_record(queue="io", worker="w")
    with django_assert_max_num_queries(14):
        response = client.get(HOME)
    well = response.context["well"]
    assert well["sessions"] == {"live": 1, "suspended": 1, "begun": 2, "faults": 1}
    assert well["level"] == "bad"  # no inference server runs here
    assert "python -m ml serve" in response.text
    assert "sita" in response.text
    assert client.get(HOME, {"hours": "nonsense"}).context["well"]["hours"] == "24"


@pytest.mark.django_db
def test_staff_without_a_role_see_no_figures(client: Client) -> None:
    client.force_login(make_user("newcomer", is_staff=True))
    response = client.get(HOME)
    assert response.status_code == 200
    assert "well" not in response.context


def test_servers_that_announced_themselves_are_the_ones_that_count(
    settings: Any, redis_server: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.REDIS_URL = redis_server.url
    monkeypatch.setattr(routed, "_known", (-1e9, []))
    client = redis.Redis.from_url(redis_server.url)
    keys = [routed.KEY_PREFIX + name for name in ("one", "two")]
    for key in keys:
        address = f"unix://{tmp_path}/{key.rpartition(':')[2]}.sock"
        client.set(key, json.dumps({"url": address, "free": 8, "capacity": 8, "talk": True}))
    try:
        found = servers()
    finally:
        client.delete(*keys)
        client.close()
        monkeypatch.setattr(routed, "_known", (-1e9, []))
    assert [server.address for server in found] == [f"unix://{tmp_path}/{name}.sock" for name in ("one", "two")]
    assert all(server.problem for server in found)  # asked themselves, and nobody answers there
