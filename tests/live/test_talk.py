"""Whole conversations through real Daphne, inference server, Postgres and Redis, with tiny random models."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import soundfile

from apps.voice.models import Turn, VoiceSession
from apps.voice.protocol import (
    AnswerEvent,
    ConfigChanged,
    Endpoint,
    GenerationChanged,
    Speech,
    TurnStored,
    Welcome,
)
from tests.support.live_client import frames_of, live_client, microphone, telugu_speech
from tests.support.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """0.4 s of silence and a spoken sentence, without the silence after it."""
    pcm = telugu_speech(tmp_path_factory.mktemp("speech"))
    return pcm[640 * 10 : -640 * 55]


def turns_of(session_id: object) -> list[Turn]:
    return list(Turn.objects.filter(session_id=session_id).order_by("index"))


async def test_a_conversation_is_heard_and_kept(stack: Stack, question: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk", speaker="priya", emotion="happy", rate=1.1)
        assert welcome.models["codec"].startswith("dialogue@")
        assert welcome.models["s2s"].startswith("tiny@")
        assert (welcome.config.mode, welcome.config.rate) == ("talk", 1.1)
        async with microphone(client) as said:
            await said.put(question)
            await client.wait_for(Speech, event="started")
            endpoint = await client.wait_for(Endpoint)
            started = await client.wait_for(AnswerEvent, event="started")
            await client.wait_for(AnswerEvent, event="ended")
            await client.wait_for(TurnStored, role="user")
            hers = await client.wait_for(TurnStored, role="assistant")
        assert started.turn == endpoint.turn == 0
        assert {"endpoint_ms", "first_token_ms", "decode_ms", "server_ms"} <= set(started.latency)
        assert hers.interrupted_at_ms is None
        assert (hers.speaker, hers.emotion) == ("priya", "happy")
        await client.end()

    mine, answer = await stack.aquery(lambda: turns_of(welcome.session))
    assert (mine.role, answer.role) == ("user", "assistant")
    media = stack.folder / "media"
    heard, rate = soundfile.read(media / answer.audio.name, dtype="int16")
    assert rate == 16_000
    assert np.array_equal(heard, np.frombuffer(client.heard, "<i2")[: len(heard)])
    assert answer.duration_ms == len(heard) // 16
    assert {"endpoint_ms", "first_token_ms", "decode_ms", "server_ms", "web_ms"} <= set(answer.latency)
    assert answer.response_ms >= answer.latency["endpoint_ms"]
    codes = np.load(media / mine.codes.name, allow_pickle=False)
    assert abs(codes.shape[1] * 40 - mine.duration_ms) < 1500
    assert np.load(media / answer.codes.name, allow_pickle=False).shape == (8, -(-answer.duration_ms // 40))
    said_samples, _ = soundfile.read(media / mine.audio.name, dtype="int16")
    assert np.abs(said_samples).max() > 3000
    assert answer.model_versions == welcome.models


async def test_speaking_over_the_answer_stops_it(stack: Stack, question: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk")
        async with microphone(client) as said:
            await said.put(question)
            await client.wait_for(AnswerEvent, event="started")
            # Without a pause: a shorter stretch than two thirds of a second may be her own voice at the beginning.
            await said.put(b"".join(p for p in frames_of(question) if np.abs(np.frombuffer(p, "<i2")).max() > 2_000))
            changed = await client.wait_for(GenerationChanged)
            assert changed.reason == "barge_in"
            assert changed.generation == welcome.generation + 1
            client.generation = changed.generation
            await client.wait_for(Endpoint, 2)
            await client.wait_for(AnswerEvent, 2, event="started")
            await client.wait_for(TurnStored, 2, role="user")
        assert all(f.generation == changed.generation for f in client.audio[-3:])
        await client.end()
    rows = await stack.aquery(lambda: turns_of(welcome.session))
    assert [row.role for row in rows if row.role == "user"] == ["user", "user"]
    for row in rows:
        if row.role == "assistant" and row.interrupted_at_ms is not None:
            assert row.interrupted_at_ms == row.duration_ms


async def test_the_inference_server_dies_in_mid_answer(stack: Stack, question: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        first = await client.hello(mode="talk")
        async with microphone(client) as said:
            await said.put(question)
            await client.wait_for(AnswerEvent, event="started")
            pid = stack.kill("inference")
            assert await client.wait_closed() == 4011
    await asyncio.to_thread(stack.wait_back, "inference", pid)
    async with live_client(stack.ws_url) as client:
        again: Welcome = await client.hello(mode="talk", resume=first.resume_token)
        assert again.session == first.session
        assert again.config.mode == "talk"
        async with microphone(client) as said:
            await said.put(question)
            await client.wait_for(AnswerEvent, event="ended")
            await client.wait_for(TurnStored, role="assistant")
        await client.end()
    rows = await stack.aquery(lambda: turns_of(first.session))
    assert rows[0].role == "user"
    assert sum(row.role == "user" for row in rows) == 2
    assert all(row.codes for row in rows if row.role == "user")


async def test_voice_turn_taking_and_mode_change_while_she_talks(stack: Stack, question: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk")
        async with microphone(client) as said:
            await client.say(type="config", speaker="ravi", intensity=0.2, turn_taking="push", now=True)
            config = (await client.wait_for(ConfigChanged)).config
            assert (config.speaker, config.intensity, config.turn_taking) == ("ravi", 0.2, "push")
            await client.say(type="key", event="press")
            await said.put(question)
            await asyncio.sleep(2.0)  # the time of the sentence itself
            await client.say(type="key", event="release")
            assert (await client.wait_for(Endpoint)).reason == "released"
            await client.wait_for(AnswerEvent, event="started")
            await client.say(type="config", mode="reconstruct")
            changed = await client.wait_for(GenerationChanged, reason="config")
            client.generation = changed.generation
            await client.until(
                lambda: client.audio and client.audio[-1].generation == changed.generation, "my own voice"
            )
            assert len(client.audio[-1].payload) == 640
        await client.end()
    row = await stack.aquery(lambda: VoiceSession.objects.get(pk=welcome.session))
    assert row.mode == "reconstruct"


@pytest.mark.parametrize(("keep", "codes"), [("codes", True), ("nothing", False)])
async def test_what_is_kept_is_what_was_agreed_to(stack: Stack, question: bytes, keep: str, codes: bool) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(mode="talk", keep_audio=keep)
        async with microphone(client) as said:
            await said.put(question)
            turn = await client.wait_for(TurnStored)
            assert turn.audio_url is None
        await client.end()
    (row, *_) = await stack.aquery(lambda: turns_of(welcome.session))
    assert bool(row.codes) is codes
    assert not row.audio
    assert not row.output_audio
    assert row.duration_ms > 0
