"""Draining of the web process: it stops being ready, tells its live sockets to go, and only then stops.

Daphne drops sockets at SIGTERM without a close code (measured: clients see 1006), so ``voiceplatform.web`` calls
``drain`` first. Consumers ``register`` what is to be awaited; ``/readyz`` asks ``is_draining``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

Callback = Callable[[], Awaitable[None]]

_callbacks: dict[object, Callback] = {}
_draining = False


def is_draining() -> bool:
    """Whether this process has begun to stop: no new sessions, ``/readyz`` answers 503."""
    return _draining


def register(callback: Callback) -> Callable[[], None]:
    """Have ``callback`` awaited once when draining begins (on the event loop). Returns the function that undoes it."""
    token = object()
    _callbacks[token] = callback

    def unregister() -> None:
        _callbacks.pop(token, None)

    return unregister


async def drain(timeout: float) -> None:
    """Become not ready and run every registered callback at once, for at most ``timeout`` seconds in all."""
    global _draining
    _draining = True
    pending = [asyncio.ensure_future(callback()) for callback in list(_callbacks.values())]
    if not pending:
        return
    done, late = await asyncio.wait(pending, timeout=timeout)
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled() and (error := task.exception()):
            logger.warning("a drain callback failed: %r", error)
    if late:
        logger.warning("%d sockets did not close within %.0f s", len(late), timeout)


def reset() -> None:
    """Forget everything (tests only: a process drains once)."""
    global _draining
    _draining = False
    _callbacks.clear()
