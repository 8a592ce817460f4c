"""The simple protocol through real Daphne and inference server: JSON in, JSON out, nothing else to know."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.voice.models import Turn, VoiceSession
from tests.support.live_client import telugu_speech
from tests.support.stack import Stack

pytestmark = pytest.mark.integration
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return telugu_speech(tmp_path_factory.mktemp("speech"))[19_200:]


@contextlib.asynccontextmanager
async def simple_client(stack: Stack, **options: Any) -> AsyncIterator[ClientConnection]:
    """A program: no Origin, no cookie."""
    async with connect(f"ws://127.0.0.1:{stack.port}/ws", max_size=None, **options) as socket:
        yield socket


async def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of that type; others in between are passed over."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def answer(socket: ClientConnection) -> list[dict[str, Any]]:
    """The pieces of one answer."""
    pieces = [await until(socket, "audio")]
    while not pieces[-1]["final"]:
        pieces.append(await until(socket, "audio"))
    return pieces


def float32(pcm: bytes) -> str:
    return base64.b64encode((np.frombuffer(pcm, "<i2") / 32_768).astype("<f4").tobytes()).decode()


async def ready(socket: ClientConnection) -> dict[str, Any]:
    """Ready, and in the mode that needs no speech-to-speech model."""
    first = await until(socket, "ready")
    if first["config"]["mode"] != "reconstruct":
        await socket.send(json.dumps({"type": "config", "config": {"mode": "reconstruct"}}))
        await until(socket, "config")
    return first


async def test_a_sentence_in_one_message_is_answered(stack: Stack, speech: bytes) -> None:
    async with simple_client(stack) as socket:
        greeting = await ready(socket)
        assert greeting["sample_rate"] == 16_000
        config = {"speaker": "female_young", "emotion": "laugh"}
        await socket.send(json.dumps({"type": "audio", "audio": float32(speech), "config": config}))
        heard = (await until(socket, "config"))["config"]
        assert (heard["speaker"], heard["emotion"]) == ("priya", "laugh")
        pieces = await answer(socket)
        samples = np.concatenate([np.frombuffer(base64.b64decode(piece["audio"]), "<f4") for piece in pieces])
        assert abs(len(samples) - len(speech) // 2) <= 16_000 * 0.3
        assert np.abs(samples).max() > 0.01
        assert {piece["format"] for piece in pieces} == {"float32"}
        assert all(piece["latency_ms"] >= 0 and isinstance(piece["breakdown"], dict) for piece in pieces)
        assert pieces[-1]["breakdown"]["server_ms"] >= 0
        await socket.send(json.dumps({"type": "end"}))
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code == 1000
    session = await stack.aquery(lambda: VoiceSession.objects.get(pk=greeting["session"]))
    assert session.status == "ended"
    assert await stack.aquery(lambda: Turn.objects.filter(session=session).count()) >= 1


async def test_pcm16_in_pieces_and_one_answer(stack: Stack, speech: bytes) -> None:
    async with simple_client(stack) as socket:
        await ready(socket)
        half = len(speech) // 2 + 1  # in the middle of a sample pair, of a frame
        half -= half % 2
        common = {"type": "audio", "format": "pcm16", "stream": False}
        for part, end in ((speech[:half], False), (speech[half:], True)):
            await socket.send(json.dumps({**common, "audio": base64.b64encode(part).decode(), "end": end}))
        pieces = await answer(socket)
        assert len(pieces) == 1
        assert abs(len(base64.b64decode(pieces[0]["audio"])) - len(speech)) <= 32_000 * 0.3


async def test_an_interrupted_answer_ends_there_and_the_next_is_whole(stack: Stack, speech: bytes) -> None:
    async with simple_client(stack) as socket:
        await ready(socket)
        question = json.dumps({"type": "audio", "format": "pcm16", "audio": base64.b64encode(3 * speech).decode()})
        await socket.send(question)
        first = await until(socket, "audio")
        assert not first["final"]
        await socket.send(json.dumps({"type": "interrupt"}))
        assert (await until(socket, "interrupted"))["generation"] >= 1
        await socket.send(json.dumps({"type": "audio", "format": "pcm16", "audio": base64.b64encode(speech).decode()}))
        heard = sum(len(base64.b64decode(piece["audio"])) for piece in await answer(socket))
        assert abs(heard - len(speech)) <= 32_000 * 0.3  # nothing is left of the long one


async def test_config_by_post_reaches_the_socket(stack: Stack) -> None:
    def post(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"{stack.url}config", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    async with simple_client(stack) as socket:
        greeting = await ready(socket)
        wish = {"key": greeting["key"], "speaker": "male_mature", "pitch_semitones": 2.5}
        status, told = await asyncio.to_thread(post, wish)
        assert (status, told["session"], told["config"]["speaker"]) == (200, greeting["session"], "ravi")
        heard = await until(socket, "config")
        assert (heard["config"]["speaker"], heard["config"]["pitch_semitones"]) == ("ravi", 2.5)
        assert (await asyncio.to_thread(post, {"session": greeting["session"], "rate": 2}))[0] == 401
        assert (await asyncio.to_thread(post, {"key": greeting["key"][:-1] + "x", "rate": 2}))[0] == 404


async def test_what_is_wrong_is_said_and_the_fifth_time_is_the_last(stack: Stack) -> None:
    wrong = [
        "{",
        json.dumps({"type": "sing"}),
        json.dumps({"type": "audio", "audio": "***"}),
        json.dumps({"type": "audio", "audio": base64.b64encode(np.array([np.nan], "<f4").tobytes()).decode()}),
        json.dumps({"type": "audio", "audio": "", "sample_rate": 44_100}),
    ]
    async with simple_client(stack) as socket:
        await ready(socket)
        for number, text in enumerate(wrong):
            await socket.send(text)
            error = await until(socket, "error")
            assert error["message"]
            assert error["hint"]
            assert error["fatal"] is (number == 4)
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code == 4003


async def test_a_message_may_hold_a_long_sentence_but_not_a_file(stack: Stack) -> None:
    async with simple_client(stack) as socket:
        await ready(socket)
        await socket.send(json.dumps({"type": "audio", "audio": float32(bytes(32 * 9_000)), "end": False}))
        await socket.send(json.dumps({"type": "ping"}))
        await until(socket, "pong")
        await socket.send(json.dumps({"type": "audio", "audio": "A" * 1_100_000}))
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()


async def test_an_operator_ends_it(stack: Stack) -> None:
    from apps.voice.services import session_end

    async with simple_client(stack) as socket:
        greeting = await ready(socket)
        await stack.aquery(lambda: session_end(session_id=greeting["session"], reason="operator"))
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code == 4014


@pytest.mark.parametrize("headers", [{"Cookie": "sessionid=x"}, {"Origin": "https://evil.example"}])
async def test_pages_of_others_are_refused(stack: Stack, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus):
        async with simple_client(stack, additional_headers=headers):
            pass
