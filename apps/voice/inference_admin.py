"""Administration of inference servers: bring another model into service. Synchronous, for admin actions and tasks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from apps.voice.servers import server_urls
from ml.serve.wire import Load, Loaded, WireError, ask, parse_address

LOAD_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one server made of it."""

    address: str
    ok: bool
    message: str
    answered: bool = True
    """False: nobody answers there (a refusal is an answer)."""


def load_model(*, kind: Literal["codec", "s2s"], preset: str, file: str, sha256: str) -> list[LoadResult]:
    """Have every known server load ``file`` (an absolute path that they can read, its card beside it).

    New sessions get the model, running ones keep theirs. A server that cannot use it goes on with what it has; its
    result says why. The list is empty when there is no server.
    """
    return asyncio.run(_load_everywhere(Load(kind=kind, preset=preset, file=file, sha256=sha256)))


async def _load_everywhere(request: Load) -> list[LoadResult]:
    return list(await asyncio.gather(*(_load(url, request) for url in await server_urls())))


async def _load(url: str, request: Load) -> LoadResult:
    try:
        loaded = await ask(parse_address(url), request, Loaded, LOAD_TIMEOUT_S)
    except (OSError, WireError) as error:
        return LoadResult(url, False, str(error) or type(error).__name__, not isinstance(error, OSError))
    return LoadResult(url, True, f"{loaded.kind} {request.preset} {request.sha256[:12]} serves new sessions")
