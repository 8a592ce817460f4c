"""Waiting for something outside this process: polling with a deadline and a message, never a plain sleep."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

_never = threading.Event()


def wait_until(ready: Callable[[], bool], deadline_s: float, what: str, every_s: float = 0.05) -> float:
    """Poll ``ready`` until it is true; TimeoutError naming ``what`` after ``deadline_s``. Seconds waited."""
    began = time.monotonic()
    while not ready():
        if time.monotonic() - began > deadline_s:
            raise TimeoutError(f"waited {deadline_s:.0f} s for {what}")
        _never.wait(every_s)
    return time.monotonic() - began


async def wait_until_async(
    ready: Callable[[], bool | Awaitable[bool]], deadline_s: float, what: str, every_s: float = 0.02
) -> float:
    """The same on an event loop; ``ready`` may be a coroutine function."""
    began = time.monotonic()
    while True:
        answer = ready()
        if answer if isinstance(answer, bool) else await answer:
            return time.monotonic() - began
        if time.monotonic() - began > deadline_s:
            raise TimeoutError(f"waited {deadline_s:.0f} s for {what}")
        await asyncio.sleep(every_s)
