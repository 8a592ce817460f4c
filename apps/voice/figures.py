"""Figures of the whole platform, for ``/stats`` and ``/api/v1/stats``: no names, no addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.training.selectors import model_versions_in_production
from apps.voice.models import Turn, VoiceSession
from ml.serve.wire import WireError, parse_address, probe

PROBE_TIMEOUT_S = 1.0
NEWEST_ANSWERS = 2000
"""Percentiles are of so many answers at most, the newest: bounded work on a busy platform."""


def platform_figures(*, urls: Sequence[str], now: datetime | None = None) -> dict[str, Any]:
    """Sessions and turns of the last 24 h, response times in ms, room of the inference servers, models."""
    since = (now or timezone.now()) - timedelta(hours=24)
    turns = Turn.objects.filter(started_at__gte=since)
    newest = turns.filter(response_ms__isnull=False).order_by("-started_at")
    times = sorted(float(ms or 0) for ms in newest.values_list("response_ms", flat=True)[:NEWEST_ANSWERS])
    return {
        "live_sessions": VoiceSession.objects.filter(status=VoiceSession.Status.LIVE).count(),
        "sessions_24h": VoiceSession.objects.filter(created_at__gte=since).count(),
        "turns_24h": turns.count(),
        "response_ms_24h": {"answers": len(times), "p50": _percentile(times, 50), "p95": _percentile(times, 95)},
        "inference": asyncio.run(_servers(urls)),
        "models": {f"{row.kind}-{row.preset}": row.version for row in model_versions_in_production()},
    }


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Nearest rank; None of nothing."""
    if not ordered:
        return None
    rank = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[rank]


async def _servers(urls: Sequence[str]) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*(_server(url) for url in urls)))


async def _server(url: str) -> dict[str, Any]:
    # In an order that stays and without their addresses: they are the house's own business.
    try:
        stats = await probe(parse_address(url), PROBE_TIMEOUT_S)
    except (OSError, TimeoutError, EOFError, WireError) as error:
        return {"ok": False, "error": type(error).__name__}
    names = ("capacity", "free", "late_ticks", "ticks", "tick_ms_p50", "tick_ms_p95")
    return {"ok": not stats.draining, **{name: getattr(stats, name) for name in names}}
