"""Is this process alive, and should it get traffic?"""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.training.selectors import heartbeat_ages
from apps.voice.servers import server_urls_now
from ml.serve.wire import WireError, parse_address, probe
from voiceplatform import drain

PROBE_TIMEOUT_S = 1.0


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all; a supervisor restarts it otherwise."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when a new session can be served here; else 503, and ``down`` names what is missing.

    ``jobs`` (seconds since each queue's last heartbeat) is told but does not count: talking needs no worker.
    """
    down: dict[str, str] = {}
    body: dict[str, Any] = {}
    if drain.is_draining():
        down["web"] = "draining"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        body["jobs"] = heartbeat_ages(now=timezone.now())
    except DatabaseError as error:
        down["database"] = type(error).__name__
    servers = asyncio.run(_probe_all(server_urls_now()))
    body["inference"] = servers
    if not any("free" in server for server in servers.values()):
        down["inference"] = "; ".join(f"{url}: {server['error']}" for url, server in servers.items())
    body = {"status": "down" if down else "ok", **({"down": down} if down else {}), **body}
    return JsonResponse(body, status=503 if down else 200)


async def _probe_all(urls: list[str]) -> dict[str, dict[str, Any]]:
    results = await asyncio.gather(*(_probe(url) for url in urls))
    return dict(zip(urls, results, strict=True))


async def _probe(url: str) -> dict[str, Any]:
    """Room of one inference server, or what keeps it from answering."""
    try:
        stats = await probe(parse_address(url), PROBE_TIMEOUT_S)
    except (OSError, TimeoutError, EOFError, WireError) as error:
        return {"error": str(error) or type(error).__name__}
    if stats.draining:
        return {"error": "draining"}
    return {"free": stats.free, "capacity": stats.capacity}
