"""Opus on the native socket: agreed on in hello, spoken both ways, and no way to break a session."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import soundfile

from apps.voice.models import Turn
from apps.voice.opus import OpusDecoder, OpusEncoder
from apps.voice.protocol import (
    AnswerEvent,
    AudioFrame,
    ConfigChanged,
    ErrorCode,
    FrameKind,
    Pong,
    TurnStored,
    pack_audio,
)
from tests.support.browser import likeness
from tests.support.live_client import LiveClient, frames_of, live_client, telugu_speech
from tests.support.stack import Stack

pytestmark = pytest.mark.integration

BOTH = ["opus", "pcm16"]


async def packet(client: LiveClient, payload: bytes) -> None:
    head = AudioFrame(FrameKind.OPUS_UP, client.seq, client.seq * 20, client.generation, payload)
    client.seq += 1
    await client.socket.send(pack_audio(head))


async def test_a_conversation_by_opus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    said = telugu_speech(tmp_path_factory.mktemp("speech"))
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk", codecs=BOTH)
        assert welcome.codecs == ["pcm16", "opus"]
        mouth = OpusEncoder()
        quiet = (np.random.default_rng(1).standard_normal(320 * 200) * 20).astype("<i2").tobytes()
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, piece in enumerate(frames_of(said + quiet * 3)):  # in real time, as a microphone does
            await asyncio.sleep(max(0.0, start + number * 0.02 - loop.time()))
            for made in mouth.encode(0, piece):
                await packet(client, made)
            if any(isinstance(event, AnswerEvent) and event.event == "ended" for event in client.events):
                break
        await client.wait_for(AnswerEvent, event="ended")
        await client.wait_for(TurnStored, role="user")
        await client.wait_for(TurnStored, role="assistant")
        assert {frame.kind for frame in client.audio} == {FrameKind.OPUS_DOWN}
        assert [frame.timestamp_ms for frame in client.audio] == [20 * i for i in range(len(client.audio))]
        # One's own voice is not compressed twice; what the client sends is its own choice.
        before = len(client.audio)
        await client.say(type="config", mode="reconstruct")
        await client.wait_for(ConfigChanged)
        for made in mouth.encode(0, quiet[:6400]):
            await packet(client, made)
        await client.frame(quiet[:640])
        await client.until(lambda: len(client.audio) > before + 3, "one's own voice")
        assert client.audio[-1].kind is FrameKind.AUDIO_DOWN
        await client.end()
        assert client.errors == []

    turns = await stack.aquery(lambda: list(Turn.objects.filter(session_id=welcome.session).order_by("index")))
    mine, hers = (
        soundfile.read(stack.folder / "media" / str(turn.audio.name), dtype="float64")[0] for turn in turns[:2]
    )
    assert likeness(mine, np.frombuffer(said, "<i2") / 32_768) > 0.9
    ears = OpusDecoder()
    packets = [frame.payload for frame in client.audio if frame.kind is FrameKind.OPUS_DOWN]
    heard = np.frombuffer(b"".join(map(ears.decode, packets)), "<i2") / 32_768
    assert likeness(hers, heard) > 0.8
    assert len(hers) + 104 <= len(heard) < len(hers) + 2 * 320
    assert sum(map(len, packets)) < len(hers) * 2 / 3


async def test_bad_packets_are_told_and_the_session_goes_on(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.hello(mode="talk", codecs=BOTH)
        for bad in (b"\x4b", b"\x40" + bytes(30), b"\x49" + bytes(30), b"\x4b\x3f" + bytes(9)):
            await packet(client, bad)
        await client.say(type="ping", id=1, t=1)
        await client.wait_for(Pong)
        assert [error.code for error in client.errors] == [ErrorCode.BAD_FRAME] * 4
        assert all(not error.fatal and "Opus packet" in error.message and error.hint for error in client.errors)
        [good] = OpusEncoder().encode(0, bytes(640))
        await packet(client, good)
        await client.frame()
        await client.say(type="ping", id=2, t=1)
        await client.wait_for(Pong, id=2)
        assert len(client.errors) == 4, "what can be decoded is heard"
        await packet(client, b"\x4b")
        assert await client.wait_closed() == ErrorCode.BAD_FRAME.close_code


async def test_opus_that_was_not_offered_is_refused(stack: Stack) -> None:
    [good] = OpusEncoder().encode(0, bytes(640))
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk")
        assert welcome.codecs == ["pcm16"]
        await packet(client, good)
        await client.say(type="ping", id=1, t=1)
        await client.wait_for(Pong)
        [error] = client.errors
        assert (error.code, error.fatal) == (ErrorCode.BAD_FRAME, False)
        assert "not agreed on" in error.message
        await client.end()
