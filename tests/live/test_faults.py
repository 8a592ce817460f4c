"""Everything a peer can do wrong: each has its own error event or close code, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
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
from tests.support.side_web import side_web
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
        try:
            yield client
        finally:
            stop.set()
            await asyncio.wait({talking})
        talking.result()
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


async def test_an_unknown_mode_is_refused_by_name_and_hello_may_be_said_again(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="sing")
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


@pytest.mark.parametrize(
    ("origin", "headers"),
    [("https://evil.example", {}), ("null", {}), (None, {"Cookie": "sessionid=of-a-browser"})],
)
async def test_a_foreign_origin_is_refused_in_the_handshake(stack: Stack, origin: Any, headers: dict[str, str]) -> None:
    """Who sends no Origin must be a program: one that brings a browser's cookie is not believed."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(stack.ws_url, origin=origin, additional_headers=headers):
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


async def test_guests_who_may_not_talk_are_sent_to_the_login(stack: Stack, tmp_path: Path) -> None:
    async with side_web(stack, tmp_path, VOICE_ALLOW_GUESTS="0") as web, live_client(web.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="reconstruct")
        assert await client.wait_closed() == 4401
        assert client.errors[-1].code == "login_required"


async def test_no_inference_server_at_all_is_busy_at_once(stack: Stack, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/nobody.sock"
    async with side_web(stack, tmp_path, INFERENCE_URLS=nowhere) as web, live_client(web.ws_url) as client:
        await client.say(type="hello", protocol=1, mode="reconstruct")
        assert await client.wait_closed() == 4013
        assert [event.type for event in client.events] == ["busy"]
