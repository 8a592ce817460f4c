"""The admin's first page answers "is it well?". Each part shows to those who may see what it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django
from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from apps.console import wellness
from apps.console.alerts import P50_TARGET_MS, P95_TARGET_MS, alerts
from apps.console.chart import chart
from apps.training import selectors as training
from apps.voice import selectors as voice

LIVE_SHOWN = 8
WINDOWS = {"1": timedelta(hours=1), "24": timedelta(hours=24), "168": timedelta(days=7)}


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds what the page shows (unfold's DASHBOARD_CALLBACK). ``?hours=`` 1, 24 or 168 chooses the curve's window."""
    user = request.user
    if not user.has_perm("voice.view_voicesession"):
        return context
    now = timezone.now()
    hours = request.GET.get("hours", "24")
    hours = hours if hours in WINDOWS else "24"
    latency = wellness.latency(now=now, window=WINDOWS[hours])
    servers, disk, sessions = wellness.servers(), wellness.disk(), wellness.session_counts(now=now)
    heartbeats = training.heartbeat_ages(now=now)
    jobs = training.job_counts(since=now - timedelta(days=1))
    found = alerts(
        servers=servers,
        disk=disk,
        latency=latency,
        sessions=sessions,
        heartbeats=heartbeats,
        queues=settings.VOICE_QUEUES,
        failed_jobs=jobs["failed"],
    )
    form = "%H:%M" if hours != "168" else "%d.%m. %H:%M"
    return context | {
        "well": {
            "alerts": found,
            "level": found[0].level if found else "good",
            "at": now,
            "sessions": sessions,
            "slots": {"free": sum(s.free for s in servers), "all": sum(s.capacity for s in servers)},
            "late": {"late": sum(s.late for s in servers), "all": sum(s.ticks for s in servers)},
            "latency": latency,
            "targets": {"p50": P50_TARGET_MS, "p95": P95_TARGET_MS},
            "chart": chart(
                {"p50": [p50 for _at, p50, _p95 in latency.curve], "p95": [p95 for _at, _p50, p95 in latency.curve]},
                [timezone.localtime(at).strftime(form) for at, _p50, _p95 in latency.curve],
                target=P95_TARGET_MS,
            ),
            "hours": hours,
            "servers": servers,
            "disk": disk,
            "queues": [(queue, heartbeats.get(queue)) for queue in settings.VOICE_QUEUES],
            "jobs": jobs,
            "models": list(training.model_versions_in_production()),
            "versions": {"Django": django.get_version(), "database": connection.vendor},
            "live": list(voice.sessions_for_list().filter(status="live").order_by("-created_at")[:LIVE_SHOWN]),
        }
    }
