"""An event loop on which waiting costs nothing: when nothing is ready, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` begins at 0 and counts seconds that nobody spent. For code that waits by the loop's clock alone."""

    _ready: Any
    _scheduled: Any

    def __init__(self) -> None:
        self._virtual_s = 0.0
        super().__init__()

    def time(self) -> float:
        return self._virtual_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._virtual_s = max(self._virtual_s, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc]

    def finish(self) -> None:
        """Cancel whatever runs, and close."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()
