"""Draining: not ready from the first moment, everyone told, nobody waited for longer than agreed."""

import asyncio
from collections.abc import Iterator

import pytest

from voiceplatform import drain


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    drain.reset()
    yield
    drain.reset()


async def test_everyone_registered_is_told_while_the_process_is_not_ready_any_more() -> None:
    seen: list[tuple[str, bool]] = []

    def socket(name: str) -> None:
        async def close() -> None:
            seen.append((name, drain.is_draining()))

        drain.register(close)

    socket("a")
    socket("b")
    assert not drain.is_draining()
    await drain.drain(5)
    assert sorted(seen) == [("a", True), ("b", True)]


async def test_one_that_left_before_is_not_told() -> None:
    async def close() -> None:
        raise AssertionError("it had left")

    drain.register(close)()
    await drain.drain(5)
    assert drain.is_draining()


async def test_one_that_hangs_or_fails_holds_nobody_up() -> None:
    closed = asyncio.Event()
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fail() -> None:
        raise ConnectionResetError

    async def good() -> None:
        closed.set()

    for callback in (hang, fail, good):
        drain.register(callback)
    await drain.drain(0.05)
    assert closed.is_set()
    async with asyncio.timeout(5):
        await cancelled.wait()
