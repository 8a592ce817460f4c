"""Bounded containers: the oldest goes, the rate holds."""

from __future__ import annotations

import asyncio

import pytest

from apps.voice.mailbox import DropOldest, RateLimit


async def test_the_oldest_makes_room() -> None:
    box: DropOldest[int] = DropOldest(2)
    assert [box.put(n) for n in (1, 2, 3)] == [None, None, 1]
    assert [await box.get(), await box.get()] == [2, 3]


async def test_a_reader_wakes_for_what_comes_later_and_peek_takes_nothing() -> None:
    box: DropOldest[int] = DropOldest(2)
    reading = asyncio.create_task(box.peek())
    await asyncio.sleep(0)
    assert not reading.done()
    box.put(7)
    assert await reading == 7
    assert box.clear() == [7]
    assert len(box) == 0


def test_no_room_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="capacity"):
        DropOldest(0)


def test_a_burst_and_then_the_rate() -> None:
    now = [0.0]
    limit = RateLimit(per_s=10, burst=3, clock=lambda: now[0])
    assert [limit.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.1
    assert [limit.take(), limit.take()] == [True, False]
    now[0] = 100.0
    assert [limit.take() for _ in range(4)] == [True, True, True, False]
