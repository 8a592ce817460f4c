"""The clock of waiting: the event loop's, so that tests may run it as fast as nothing happens."""

from __future__ import annotations

import asyncio


def now() -> float:
    """Seconds, from anywhere."""
    return asyncio.get_running_loop().time()
