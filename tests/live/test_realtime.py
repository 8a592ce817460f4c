"""The OpenAI-compatible endpoint's door: keys, subprotocols, room, sizes, close codes; on tiny random models.

Whole conversations by unmodified clients are in `test_realtime_clients`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.side_web import side_web
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    def make() -> str:
        from django.contrib.auth import get_user_model
        from django.utils import timezone

        from apps.accounts.services import token_create

        user = get_user_model().objects.create_user("realtime", password=None)
        return token_create(user=user, name="client", scopes=["chat"], expires_at=timezone.now() + timedelta(days=1))[1]

    return stack.query(make)


async def test_who_has_no_token_is_let_in_nowhere(stack: Stack) -> None:
    address = f"ws://127.0.0.1:{stack.port}/v1/realtime?model=telugu-voice"
    for headers in ({}, {"Authorization": "Bearer nothing"}):
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(address, additional_headers=headers) as socket:
                await socket.recv()


async def test_nonsense_is_answered_by_an_error_and_the_session_goes_on(stack: Stack, key: str) -> None:
    address = f"ws://127.0.0.1:{stack.port}/v1/realtime?model=telugu-voice"
    async with connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        for text in ("{", "[]", '{"type":"no.such"}', '{"type":"input_audio_buffer.append","audio":"*"}',
                     '{"type":"input_audio_buffer.commit"}', '{"type":"response.cancel"}'):  # fmt: skip
            await socket.send(text)
            told = json.loads(await socket.recv())
            assert told["type"] == "error"
            assert told["error"]["message"]
        assert told["error"]["code"] == "response_cancel_not_active"
        await socket.send('{"type":"session.update","session":{"type":"realtime"}}')
        assert json.loads(await socket.recv())["type"] == "session.updated"


def by(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def address(port: int) -> str:
    return f"ws://127.0.0.1:{port}/v1/realtime?model=any-name"


async def until(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next event of one of those kinds."""
    async with asyncio.timeout(60):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] in kinds:
                return event


async def test_a_browser_brings_its_key_as_a_subprotocol(stack: Stack, key: str) -> None:
    wish = {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"audio": {"output": {"voice": "ravi"}}},
    }

    def secret() -> dict[str, Any]:
        request = urllib.request.Request(
            f"{stack.origin}/v1/realtime/client_secrets",
            json.dumps(wish).encode(),
            {"Content-Type": "application/json", **by(key)},
        )
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    made = await asyncio.to_thread(secret)
    assert made["value"].startswith("ek_")
    offered = ["realtime", f"openai-insecure-api-key.{made['value']}"]
    async with connect(address(stack.port), subprotocols=offered, origin="https://page.example") as socket:
        assert socket.subprotocol == "realtime"
        told = await until(socket, "session.created")
        assert (told["session"]["model"], told["session"]["audio"]["output"]["voice"]) == ("any-name", "ravi")
    async with connect(address(stack.port), additional_headers=by(made["value"])) as socket:
        assert socket.subprotocol is None, "echoed when offered, and only then"
        await until(socket, "session.created")
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        async with connect(address(stack.port), subprotocols=[offered[0], offered[1] + "x"]) as socket:
            await socket.recv()


async def test_the_house_is_full(stack: Stack, key: str) -> None:
    async with contextlib.AsyncExitStack() as inside:
        codes: list[int | None] = []
        for _ in range(20):
            socket = await inside.enter_async_context(connect(address(stack.port), additional_headers=by(key)))
            try:
                await until(socket, "session.created")
            except ConnectionClosed:
                codes.append(socket.close_code)
                break
        assert codes == [1013], "clients of this protocol try again after that"


async def test_an_event_holds_15_mib_and_a_message_16(stack: Stack, key: str) -> None:
    async with connect(address(stack.port), additional_headers=by(key), max_size=None) as socket:
        await until(socket, "session.created")
        for size, code in ((15 << 20, "input_audio_buffer_full"), ((15 << 20) + 4, "invalid_value")):
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * size}))
            assert (await until(socket, "error"))["error"]["code"] == code
        await socket.send('{"type":"session.update","session":{"type":"realtime"}}')
        await until(socket, "session.updated")
        with pytest.raises(ConnectionClosed):
            await socket.send("A" * (17 << 20))
            await until(socket, "never")
        assert socket.close_code in (1009, 1006), "who is still sending may miss the code"


async def test_transcripts_are_absent_by_configuration(stack: Stack, key: str, tmp_path: Path) -> None:
    async with (
        side_web(stack, tmp_path, VOICE_REALTIME_TRANSCRIPTS="0") as web,
        connect(address(web.port), additional_headers=by(key), max_size=None) as socket,
    ):
        session = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}}
        await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime", **session}}))
        told = await until(socket, "session.updated")
        assert told["session"]["audio"]["input"]["transcription"] is None
        audio = base64.b64encode(bytes(48_000)).decode()
        for kind in ("input_audio_buffer.append", "input_audio_buffer.commit", "response.create"):
            await socket.send(json.dumps({"type": kind, "audio": audio}))
        kinds = set()
        while "response.done" not in kinds:
            event = json.loads(await socket.recv())
            kinds.add(event["type"])
        assert event["response"]["status"] == "completed"
        assert event["response"]["output"][0]["content"] == [{"type": "output_audio"}]
        assert not [kind for kind in kinds if "transcript" in kind]
