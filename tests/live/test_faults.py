"""Everything a peer can do wrong: each has its own error event or close code, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.voice import protocol
from apps.voice.models import VoiceSession
from apps.voice.protocol import ErrorEvent, Stats
from tests.support.live_client import LiveClient, live_client
from tests.support.stack import Stack
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.integration

GOOD = struct.pack("<BIII", 1, 5, 0, 0) + bytes(640)
OFFENCES: list[tuple[str, str | bytes, int]] = [
    ("bad_json", "{not json", 4002),
    ("bad_json", "", 4002),
    ("bad_message", '{"type":"shout"}', 4003),
    ("bad_message", "[1,2]", 4003),
    ("bad_message", '{"type":"config","quantizers":"8"}', 4003),
    ("bad_message", '{"type":"config","speaker":"nobody-of-that-name"}', 4003),
    ("bad_message", '{"type":"hello","protocol":1,"mode":"reconstruct"}', 4003),
    ("bad_frame", b"\x01\x02", 4004),
    ("bad_frame", b"\x99" + GOOD[1:], 4004),
    ("bad_frame", b"\x03" + GOOD[1:], 4004),
    ("frame_size", GOOD[:-2], 4005),
    ("frame_size", GOOD + b"\0\0", 4005),
]


@contextlib.asynccontextmanager
async def bystander(stack: Stack) -> AsyncIterator[LiveClient]:
    """Somebody who talks meanwhile: every frame of theirs comes back, and no word of trouble reaches them."""
    async with live_client(stack.ws_url) as client:
        await client.hello()
        stop = asyncio.Event()

        async def talk() -> None:
            while not stop.is_set():
                await client.in_step([bytes(640)])

        talking = asyncio.create_task(talk())
        yield client
        stop.set()
        await talking
        assert client.errors == []
        assert len(client.audio) == client.seq
        await client.until(lambda: any(isinstance(e, Stats) for e in client.events), "figures")
        assert [e for e in client.events if isinstance(e, Stats)][-1].dropped == 0
        assert await client.end() == 1000


@pytest.mark.parametrize(("code", "data", "close_code"), OFFENCES)
async def test_an_offence_is_told_and_the_fifth_closes(
    stack: Stack, code: str, data: str | bytes, close_code: int
) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.hello()
        await client.socket.send(data)
        error = await client.wait_for(ErrorEvent)
        assert (error.code, error.fatal) == (code, False)
        await client.in_step([bytes(640)] * 2)  # the session goes on
        for _ in range(3):
            await client.socket.send(data)
        await client.wait_for(ErrorEvent, 4)
        await client.in_step([bytes(640)])
        await client.socket.send(data)
        assert await client.wait_closed() == close_code
        assert [(e.code, e.fatal) for e in client.errors] == [(code, False)] * 4 + [(code, True)]


async def test_a_frame_out_of_order_is_dropped(stack: Stack) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.hello()
        await client.in_step([bytes(640)] * 3)
        for number in range(5):
            client.seq = number % 3
            await client.frame()
        assert await client.wait_closed() == 4006
        assert len(client.audio) == 3


async def test_offences_of_several_kinds_add_up(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.hello()
        for data in ("{", b"\x01", GOOD[:-1], "[]", "{"):
            await client.socket.send(data)
        assert await client.wait_closed() == 4002


@pytest.mark.parametrize(
    "data", [bytes(protocol.MAX_BINARY_BYTES + 1), "x" * (protocol.MAX_TEXT_BYTES + 1)], ids=["binary", "text"]
)
async def test_oversize_closes_at_once(stack: Stack, data: str | bytes) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.hello()
        await client.socket.send(data)
        assert await client.wait_closed() == 4009
        assert [(e.code, e.fatal) for e in client.errors] == [("oversize", True)]


async def test_a_frame_beyond_all_measure_is_cut_off_below_us(stack: Stack) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.hello()
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(bytes(4 << 20))
        assert await client.wait_closed() in (1009, 1006)


@pytest.mark.parametrize("first", [GOOD, '{"type":"interrupt"}', '{"type":"end"}'], ids=["audio", "interrupt", "end"])
async def test_hello_comes_first(stack: Stack, first: str | bytes) -> None:
    async with live_client(stack.ws_url) as client:
        await client.socket.send(first)
        assert await client.wait_closed() == 4400


async def test_no_hello_within_five_seconds(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        assert await client.wait_closed(10) == 4001
        assert client.errors[-1].code == "hello_timeout"


async def test_talk_mode_is_refused_by_name_and_hello_may_be_said_again(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="talk")
        error = await client.wait_for(ErrorEvent)
        assert (error.code, error.fatal) == ("bad_message", False)
        assert error.message.startswith("mode: ")
        await client.hello()
        await client.in_step([bytes(640)])


async def test_an_unknown_voice_is_refused_by_name(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="reconstruct", speaker="nobody")
        error = await client.wait_for(ErrorEvent)
        assert (error.code, error.fatal) == ("bad_message", False)
        assert error.message.startswith("speaker: ")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_foreign_origin_is_refused_in_the_handshake(stack: Stack, origin: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(stack.ws_url, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_token_nobody_gave_out(stack: Stack) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="reconstruct", resume="no-such-token")
        assert await client.wait_closed() == 4010
        assert client.errors[-1].hint


async def test_a_token_whose_time_is_over(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()

    def expire() -> bool:
        from django.utils import timezone

        rows = VoiceSession.objects.filter(pk=welcome.session, status="suspended")
        return rows.update(resume_until=timezone.now()) == 1

    await wait_until_async(lambda: stack.aquery(expire), 10, "the session to be suspended")
    async with live_client(stack.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="reconstruct", resume=welcome.resume_token)
        assert await client.wait_closed() == 4010


async def test_more_messages_than_sense(stack: Stack) -> None:
    async with bystander(stack), live_client(stack.ws_url) as client:
        await client.hello()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(2000):
                await client.say(type="ping", id=1, t=0)
        assert await client.wait_closed() == 4003


# --- a client that does not read -----------------------------------------------------------------------------------


def resident(pid: int) -> int:
    """Bytes of memory that are the process's own."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))


async def never_reads(stack: Stack, *, lies: bool) -> int:
    """Say hello, read no more, push audio as fast as it goes; the close code, read at the very end.

    With ``lies`` it claims all along to have played what it never read.
    """
    origin = stack.origin
    async with connect(stack.ws_url, origin=origin, compression=None, max_queue=1) as socket:  # type: ignore[arg-type]
        await socket.send(json.dumps({"type": "hello", "protocol": 1, "mode": "reconstruct"}))
        welcome = json.loads(await socket.recv())
        session = welcome["session"]
        loop = asyncio.get_running_loop()

        async def push() -> None:
            start = loop.time()
            for number in range(100_000):
                await socket.send(struct.pack("<BIII", 1, number, number * 20, welcome["generation"]) + bytes(640))
                if lies and number % 10 == 0:
                    report = {"generation": welcome["generation"], "buffered_ms": 0, "underruns": 0}
                    await socket.send(json.dumps({"type": "played", "played_ms": number * 20, **report}))
                # Five times as fast as any microphone.
                if (ahead := start + number * 0.004 - loop.time()) > 0:
                    await asyncio.sleep(ahead)

        def over() -> bool:
            return VoiceSession.objects.filter(pk=session, status="suspended").exists()

        pushing = asyncio.create_task(push())
        try:
            # The server's own patience is below 5 s; the rest is this test's polling.
            await wait_until_async(lambda: stack.aquery(over), 6.0, "the client to be closed", 0.1)
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(10):
                while True:
                    await socket.recv()
        return socket.close_code or 0


@pytest.mark.parametrize("lies", [False, True], ids=["says nothing", "lies"])
async def test_a_client_that_does_not_read_is_cheap_and_closed(stack: Stack, lies: bool) -> None:
    web = stack.pid("web")
    async with bystander(stack):
        await never_reads(stack, lies=lies)  # whatever the first of its kind costs for good
        before = resident(web)
        peak = before
        crowd = [asyncio.create_task(never_reads(stack, lies=lies)) for _ in range(5)]
        while not all(task.done() for task in crowd):
            await asyncio.wait(crowd, timeout=0.25)
            peak = max(peak, resident(web))
        codes = [task.result() for task in crowd]
    assert (peak - before) / len(crowd) < 2_000_000
    assert codes == [4008] * len(crowd)
