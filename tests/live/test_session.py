"""Whole sessions through real Daphne, inference server, Postgres and Redis."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import urllib.error
import urllib.request

import numpy as np
import pytest
import soundfile

from apps.voice import protocol
from apps.voice.models import Turn, VoiceSession
from apps.voice.protocol import ConfigChanged, GenerationChanged, Notice, Pong, Speech, Stats, TurnStored
from tests.support.live_client import frames_of, live_client, telugu_speech
from tests.support.stack import Stack
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return telugu_speech(tmp_path_factory.mktemp("speech"))


def turns_of(session_id: object) -> list[Turn]:
    return list(Turn.objects.filter(session_id=session_id).order_by("index"))


def session_row(session_id: object) -> VoiceSession:
    return VoiceSession.objects.get(pk=session_id)


def guest_cookies(url: str) -> str:
    """The cookies that a first visit of the page gives."""
    with urllib.request.urlopen(url) as page:
        return "; ".join(value.split(";")[0] for value in page.headers.get_all("Set-Cookie"))


async def test_speech_comes_back_and_is_kept(stack: Stack, speech: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello(client="test")
        assert not welcome.resumed
        assert welcome.models["codec"].startswith("hifi@")
        await client.say(type="ping", id=7, t=1.5, rtt_ms=3.0)
        assert (await client.wait_for(Pong)).id == 7

        # In step, not in real time: on a busy machine no frame is dropped, so that all of this is exact.
        await client.in_step(frames_of(speech))
        started, stopped = (
            await client.wait_for(Speech, event="started"),
            await client.wait_for(Speech, event="stopped"),
        )
        assert 300 <= started.at_ms <= 1000 < stopped.at_ms
        turn = await client.wait_for(TurnStored)
        assert (await client.wait_for(Stats)).bitrate_bps > 0
        assert await client.end() == protocol.CLOSE_NORMAL

    assert len(client.heard) == len(speech)
    assert [f.seq for f in client.audio] == list(range(len(client.audio)))
    assert [f.timestamp_ms for f in client.audio] == [20 * i for i in range(len(client.audio))]

    (row,) = await stack.aquery(lambda: turns_of(welcome.session))
    assert str(row.pk) == str(turn.id)
    assert (row.role, row.index, row.duration_ms) == ("user", 0, turn.duration_ms)
    assert row.model_versions == welcome.models
    assert {"queue_ms", "encode_ms", "decode_ms", "server_ms", "endpoint_ms", "playback_ms"} <= set(row.latency)
    assert row.latency["server_ms"] > row.latency["encode_ms"]
    assert row.latency["endpoint_ms"] >= 200

    media = stack.folder / "media"
    heard, rate = soundfile.read(media / row.audio.name, dtype="int16")
    assert rate == 16_000
    begin = (started.at_ms - 300) // 20 * 320
    assert abs(len(heard) / 16 - row.duration_ms) < 1
    assert np.array_equal(heard, np.frombuffer(speech, "<i2")[begin : begin + len(heard)])
    assert row.start_ms >= begin / 16
    output, _ = soundfile.read(media / row.output_audio.name, dtype="int16")
    assert row.stats["frames_missing"] == 0
    assert np.array_equal(output, np.frombuffer(client.heard, "<i2")[begin : begin + len(heard)])
    codes = np.load(media / row.codes.name, allow_pickle=False)
    assert codes.dtype == np.uint16
    assert codes.shape == (8, len(heard) // 80)

    session = await stack.aquery(lambda: session_row(welcome.session))
    assert (session.status, session.end_reason) == ("ended", "client")


async def test_a_turn_can_be_played_by_its_guest_only(stack: Stack, speech: bytes) -> None:
    cookies = await asyncio.to_thread(guest_cookies, stack.url)
    async with live_client(stack.ws_url, additional_headers={"Cookie": cookies}) as client:
        await client.hello()
        await client.speak(speech)
        turn = await client.wait_for(TurnStored)
        await client.end()
    for url in (turn.audio_url, turn.output_url):
        request = urllib.request.Request(stack.origin + str(url), headers={"Cookie": cookies})
        body = await asyncio.to_thread(lambda request=request: urllib.request.urlopen(request).read())
        samples, _ = soundfile.read(io.BytesIO(body))
        assert len(samples) > 0
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(urllib.request.urlopen, stack.origin + str(url))
        refused.value.close()
        assert refused.value.code == 404


async def test_a_dropped_connection_resumes_with_its_voice(stack: Stack, speech: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        first = await client.hello(quantizers=3, turn_taking="turn")
        await client.say(type="config", quantizers=5)
        assert (await client.wait_for(ConfigChanged)).config.quantizers == 5
        await client.say(type="interrupt")
        assert (await client.wait_for(GenerationChanged)).generation == first.generation + 1
        await client.in_step(frames_of(speech[: 640 * 60]))
        client.socket.transport.abort()
        await client.wait_closed()

    async with live_client(stack.ws_url) as client:
        second = await client.hello(resume=first.resume_token, quantizers=1)
        assert second.resumed
        assert second.session == first.session
        assert second.resume_token != first.resume_token
        assert second.config.quantizers == 5
        assert second.config.turn_taking == "turn"
        assert second.generation > first.generation + 1
        await client.in_step([bytes(640)] * 3)
        assert {f.generation for f in client.audio} == {second.generation}
        assert await client.end() == 1000
    # Cut off in mid-word, and yet kept.
    rows = await stack.aquery(lambda: turns_of(first.session))
    assert len(rows) == 1


async def test_the_newer_connection_of_a_session_wins(stack: Stack) -> None:
    async with live_client(stack.ws_url) as old, live_client(stack.ws_url) as new:
        first = await old.hello()
        second = await new.hello(resume=first.resume_token)
        assert second.session == first.session
        assert await old.wait_closed() == 4010
        await new.in_step([bytes(640)] * 3)
        session = await stack.aquery(lambda: session_row(first.session))
        assert session.status == "live"


async def test_interrupt_makes_audio_on_its_way_stale(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.hello()
        client.autoplay = False
        for _ in range(60):  # more than the window: some of it waits for credit
            await client.frame()
        await client.until(lambda: len(client.audio) >= 15, "the window to fill")
        await client.say(type="interrupt")
        changed = await client.wait_for(GenerationChanged)
        client.generation = changed.generation
        stale = len(client.audio)
        await client.frame()
        await client.until(lambda: len(client.audio) > stale, "audio of the new generation")
        assert client.audio[stale].generation == changed.generation
        assert client.audio[stale].timestamp_ms == 0


async def test_a_change_made_elsewhere_reaches_the_client(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()

        def change() -> None:
            from apps.voice.services import session_configure

            session_configure(session_id=welcome.session, quantizers=2)

        # In this process the channel layer is another one: only the lease's look at the row can tell.
        await stack.aquery(change)
        assert (await client.wait_for(ConfigChanged)).config.quantizers == 2


async def test_an_operator_ends_a_session(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()

        def end() -> None:
            from apps.voice.services import session_end

            session_end(session_id=welcome.session, reason="operator")

        await stack.aquery(end)
        assert await client.wait_closed() == 4014
        assert client.errors[-1].fatal


async def test_the_last_word_before_end_is_kept_whole(stack: Stack, speech: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()
        await client.in_step(frames_of(speech)[:70])
        await client.wait_for(Speech, event="started")
        assert await client.end() == 1000
        turn = await client.wait_for(TurnStored)
    (row,) = await stack.aquery(lambda: turns_of(welcome.session))
    assert row.stats["frames_missing"] == 0
    assert row.pk == turn.id


async def test_lost_frames_are_counted_and_the_rest_is_heard(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        await client.hello()
        await client.in_step([bytes(640)] * 2)
        client.seq += 7
        await client.in_step([bytes(640)] * 2)
        await client.until(lambda: any(isinstance(e, Stats) and e.lost == 7 for e in client.events), "lost to be 7")


async def test_draining_tells_every_client_and_sessions_survive(stack: Stack) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()
        await client.in_step([bytes(640)] * 3)
        pid = stack.kill("web", signal.SIGTERM)
        assert await client.wait_closed() == 4012
        assert any(isinstance(e, Notice) and e.code == "going_away" for e in client.events)
        session = await stack.aquery(lambda: session_row(welcome.session))
        assert session.status == "suspended"
    await asyncio.to_thread(stack.wait_back, "web", pid)
    async with live_client(stack.ws_url) as client:
        assert (await client.hello(resume=welcome.resume_token)).session == welcome.session
        await client.end()


async def test_the_inference_server_is_killed_in_mid_speech(stack: Stack, speech: bytes) -> None:
    async with live_client(stack.ws_url) as client:
        welcome = await client.hello()
        await client.speak(speech)
        finished = await client.wait_for(TurnStored)
        await client.speak(speech[: 640 * 60])
        await client.wait_for(Speech, 2, event="started")
        pid = stack.kill("inference")
        assert await client.wait_closed() == 4011
        error = client.errors[-1]
        assert (error.code, error.fatal) == ("inference_lost", True)
        assert "token" in error.hint
    await asyncio.to_thread(stack.wait_back, "inference", pid)

    async with live_client(stack.ws_url) as client:
        again = await client.hello(resume=welcome.resume_token)
        assert again.session == welcome.session
        await client.speak(speech)
        await client.wait_for(TurnStored)
        await client.end()
    rows = await stack.aquery(lambda: turns_of(welcome.session))
    assert rows[0].pk == finished.id
    assert [row.index for row in rows] == [0, 1, 2]  # the second is what was said before the server died
    for row in rows:
        for name in (row.audio.name, row.output_audio.name):
            samples, _ = soundfile.read(stack.folder / "media" / name)
            assert len(samples) > 0


async def test_busy_when_every_slot_is_taken(stack: Stack) -> None:
    async def connected(number: int) -> None:
        async with live_client(stack.ws_url) as client:
            await client.hello()
            waiting.append(number)
            await release.wait()
            await client.end()

    waiting: list[int] = []
    release = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        slots = int(stack.environment.get("VOICE_SLOTS", "8"))
        for number in range(slots):
            group.create_task(connected(number))
        await wait_until_async(lambda: len(waiting) == slots, 20, "every slot to be taken")
        async with live_client(stack.ws_url) as client:
            await client.say(type="hello", protocol=1, mode="reconstruct")
            assert await client.wait_closed() == 4013
            (busy,) = client.events
            assert json.loads(busy.wire())["retry_after_s"] > 0
        release.set()
