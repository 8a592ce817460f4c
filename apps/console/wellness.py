"""What the first page asks of the system: servers, workers, disk, latency, trouble. Reads only, each with a bound."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from apps.voice.models import Turn, VoiceSession
from apps.voice.servers import server_urls_now
from ml.serve.wire import WireError, parse_address, probe

PROBE_TIMEOUT_S = 1.0
ANSWERS_MAX = 20_000
"""No more answers than these are read for the curve: the newest ones."""
BUCKETS = 48


@dataclass(frozen=True, slots=True)
class Server:
    """An inference server. ``problem`` is "" when it answered; tick figures are ms of its last few hundred ticks."""

    address: str
    problem: str = ""
    active: int = 0
    capacity: int = 0
    free: int = 0
    ticks: int = 0
    late: int = 0
    tick_p50: float = 0.0
    tick_p95: float = 0.0
    dropped: int = 0
    uptime_s: float = 0.0
    models: dict[str, Any] = field(default_factory=dict)

    @property
    def late_share(self) -> float:
        """Late ticks of all, 0..1."""
        return self.late / self.ticks if self.ticks else 0.0


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that holds recordings and runs."""

    total_gb: float
    free_gb: float

    @property
    def used_share(self) -> float:
        return 1 - self.free_gb / self.total_gb if self.total_gb else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Response times (ms) of answers: over the whole window, and per stretch of time, oldest first (None: none)."""

    answers: int
    p50: int | None
    p95: int | None
    interrupted: int
    curve: tuple[tuple[datetime, int | None, int | None], ...]


def servers() -> list[Server]:
    """Every inference server that sessions are sent to (registered or configured), asked at the same time."""
    return asyncio.run(_ask_all(server_urls_now()))


async def _ask_all(urls: Sequence[str]) -> list[Server]:
    return list(await asyncio.gather(*(_ask(url) for url in urls)))


async def _ask(url: str) -> Server:
    try:
        stats = await probe(parse_address(url), PROBE_TIMEOUT_S)
    except (OSError, TimeoutError, EOFError, WireError) as error:
        return Server(url, problem=str(error) or type(error).__name__)
    return Server(
        url,
        problem="draining" if stats.draining else "",
        active=stats.active,
        capacity=stats.capacity,
        free=stats.free,
        ticks=stats.ticks,
        late=stats.late_ticks,
        tick_p50=stats.tick_ms_p50,
        tick_p95=stats.tick_ms_p95,
        dropped=stats.dropped,
        uptime_s=stats.uptime_s,
        models=stats.models,
    )


def disk() -> Disk:
    """Room where recordings are stored."""
    usage = shutil.disk_usage(Path(settings.MEDIA_ROOT) if Path(settings.MEDIA_ROOT).exists() else settings.VAR_DIR)
    return Disk(total_gb=usage.total / 1e9, free_gb=usage.free / 1e9)


def session_counts(*, now: datetime) -> dict[str, int]:
    """``live`` and ``suspended`` now; ``begun`` and ``faults`` within the last hour."""
    hour = now - timedelta(hours=1)
    running = VoiceSession.objects.exclude(status=VoiceSession.Status.ENDED).aggregate(
        live=Count("pk", filter=Q(status=VoiceSession.Status.LIVE)),
        suspended=Count("pk", filter=Q(status=VoiceSession.Status.SUSPENDED)),
    )
    recent = VoiceSession.objects.filter(created_at__gte=hour).aggregate(
        begun=Count("pk"), faults=Count("pk", filter=~Q(last_fault=""))
    )
    return {**running, **recent}


def latency(*, now: datetime, window: timedelta) -> Latency:
    """How long answers took within the window, in 48 stretches."""
    begin = now - window
    rows = list(
        Turn.objects.filter(
            role=Turn.Role.ASSISTANT, started_at__gte=begin, started_at__lte=now, response_ms__isnull=False
        )
        .order_by("-started_at")
        .values_list("started_at", "response_ms", "interrupted_at_ms")[:ANSWERS_MAX]
    )
    buckets: list[list[int]] = [[] for _ in range(BUCKETS)]
    for started_at, response_ms, _cut in rows:
        buckets[min(BUCKETS - 1, int((started_at - begin) / window * BUCKETS))].append(response_ms or 0)
    everything = [response_ms or 0 for _at, response_ms, _cut in rows]
    return Latency(
        answers=len(rows),
        p50=percentile(everything, 0.5),
        p95=percentile(everything, 0.95),
        interrupted=sum(cut is not None for _at, _ms, cut in rows),
        curve=tuple(
            (begin + window * (at + 0.5) / BUCKETS, percentile(values, 0.5), percentile(values, 0.95))
            for at, values in enumerate(buckets)
        ),
    )


def percentile(values: Sequence[int], share: float) -> int | None:
    """The smallest value that `share` of all do not exceed (nearest rank); None of none."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 1000) * len(ranked) // 1000) - 1)]
