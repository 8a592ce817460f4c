"""Small bounded containers of the live path: nothing between two pumps may grow without end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class DropOldest(Generic[T]):
    """A bounded queue for one reader: when it is full the oldest item makes room. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> T | None:
        """Add ``item``; returns the one that was dropped for it, if any."""
        dropped = self._items.popleft() if len(self._items) >= self._capacity else None
        self._items.append(item)
        self._filled.set()
        return dropped

    async def peek(self) -> T:
        """The oldest item, left in its place; waits for one."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        return self._items[0]

    async def get(self) -> T:
        """The oldest item; waits for one."""
        await self.peek()
        return self._items.popleft()

    def pop(self) -> T:
        """The oldest item, at once; IndexError when there is none."""
        return self._items.popleft()

    def clear(self) -> list[T]:
        """Empty it; returns what was in it, oldest first."""
        items = list(self._items)
        self._items.clear()
        return items


class RateLimit:
    """A token bucket: ``per_s`` a second in the long run, ``burst`` at once."""

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def take(self) -> bool:
        """Whether one more is within the limit (and counts it, if so)."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
