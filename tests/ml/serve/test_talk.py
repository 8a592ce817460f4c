"""Conversations over real sockets, with tiny random models: what is heard, when, and what is told of it."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ml.codec.checkpoint import read_card
from ml.s2s import export_s2s
from ml.serve import wire
from tests.ml.serve.client import DEADLINE_S, Client
from tests.ml.serve.conftest import StartServer

Sound = npt.NDArray[np.int16]
VOICE = wire.Voice(speakers={"priya": 1.0}, emotion="happy", intensity=0.7, rate=1.1)


def silence(ms: int) -> Sound:
    return (np.random.default_rng(ms).standard_normal(ms * 16) * 20).astype(np.int16)


class Talk:
    """A client that talks in real time and keeps everything that comes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seq = 0
        self.came: list[wire.ServerMessage] = []
        self._news = asyncio.Condition()
        self._ears = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        while (message := await wire.read_message(self.client.reader, wire.decode_server)) is not None:
            async with self._news:
                self.came.append(message)
                self._news.notify_all()

    async def say(self, sound: Sound) -> None:
        """In real time: the server's answers are paced by the clock."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n, chunk in enumerate(sound[: len(sound) // 320 * 320].reshape(-1, 320)):
            if (ahead := start + n * 0.02 - loop.time()) > 0:
                await asyncio.sleep(ahead)
            frame = wire.AudioUp(self.seq, self.seq * 20, 0, chunk.astype("<i2").tobytes())
            await self.client.send(frame)
            self.seq += 1

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(ready)

    async def until_while_silent(self, ready: Callable[[], bool]) -> None:
        """The microphone goes on meanwhile, as it does."""
        async with asyncio.timeout(DEADLINE_S):
            while not ready():
                await self.say(silence(40))

    def of(self, kind: type, **fields: object) -> list:
        return [m for m in self.came if isinstance(m, kind) and all(getattr(m, k) == v for k, v in fields.items())]

    async def aclose(self) -> None:
        self._ears.cancel()
        await asyncio.gather(self._ears, return_exceptions=True)


async def talking(start_server: StartServer, **options: object) -> Talk:
    running = await start_server(talk=True, **options)
    client = await running.client()
    await client.send(wire.Open(mode="talk", preset="dialogue", voice=VOICE, seed=3))
    opened = await client.expect(wire.Opened)
    assert opened.hop == 640
    assert opened.models["s2s"]["preset"] == "tiny"
    assert "priya" in opened.models["s2s"]["speakers"]
    return Talk(client)


@pytest.fixture
def question(telugu_question: Sound) -> Sound:
    return np.concatenate([silence(300), telugu_question])


async def test_a_question_is_answered(start_server: StartServer, question: Sound) -> None:
    talk = await talking(start_server)
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="ended")))
    kinds = [type(m).__name__ + getattr(m, "event", "") for m in talk.came if not isinstance(m, wire.AudioDown)]
    assert kinds == ["Speechstarted", "Speechstopped", "Endpoint", "TurnCodes", "Answerstarted", "Answerended"]

    (endpoint,) = talk.of(wire.Endpoint)
    assert endpoint.start_ms < 700
    assert abs(endpoint.end_ms - len(question) / 16) < 400
    assert 180 <= endpoint.decided_ms - endpoint.end_ms <= 1_100
    (codes,) = talk.of(wire.TurnCodes)
    assert codes.codes.shape[0] == 8
    assert abs(codes.codes.shape[1] * 40 - (endpoint.decided_ms - endpoint.start_ms + 320)) <= 120

    frames = talk.of(wire.AudioDown)
    assert [f.seq for f in frames] == list(range(len(frames)))
    assert len(frames) >= 5
    assert {f.codes.shape for f in frames} == {(8, 1)}
    sizes = {len(f.pcm) for f in frames[1:]}
    assert sizes == {1280}
    assert frames[1].timestamp_ms == len(frames[0].pcm) // 32
    assert {after.timestamp_ms - before.timestamp_ms for before, after in pairwise(frames[1:])} == {40}
    (started,) = talk.of(wire.Answer, event="started")
    assert {"endpoint_ms", "first_token_ms", "decode_ms", "server_ms", "speculated"} <= set(started.latency)
    assert started.latency["speculated"] == 1
    await talk.aclose()


async def test_two_rows_do_not_disturb_each_other(start_server: StartServer, question: Sound) -> None:
    running = await start_server(talk=True)

    async def heard(other: bool) -> np.ndarray[Any, np.dtype[np.uint16]]:
        talks = []
        for number in range(2 if other else 1):
            client = await running.client()
            await client.send(wire.Open(mode="talk", preset="dialogue", voice=VOICE, seed=7 + 4 * number))
            await client.expect(wire.Opened)
            talks.append(Talk(client))
        loud = question if len(talks) == 1 else np.roll(question, 1600)
        await asyncio.gather(talks[0].say(question), *(t.say(loud) for t in talks[1:]))
        await asyncio.gather(*(t.until_while_silent(lambda t=t: bool(t.of(wire.Answer, event="ended"))) for t in talks))
        for talk in talks:
            await talk.aclose()
            await talk.client.close()
        assert talks[0].of(wire.AudioDown)
        return talks[0].of(wire.TurnCodes)[0].codes

    # What is heard of a question. That its answer is the same as well is test_talker's, in double precision.
    alone, beside = await heard(False), await heard(True)
    common = min(alone.shape[1], beside.shape[1])
    assert common >= 20
    assert (alone[:, :common] == beside[:, :common]).all()


async def test_speech_over_the_answer_stops_it(start_server: StartServer, question: Sound) -> None:
    talk = await talking(start_server)
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.AudioDown)))
    await talk.say(question)
    interrupted = talk.of(wire.Answer, event="interrupted")
    assert len(interrupted) == 1
    assert interrupted[0].reason in ("barge_in", "continued")
    await talk.until_while_silent(
        lambda: len(talk.of(wire.Endpoint)) == 2 and talk.of(wire.Answer, event="ended") != []
    )
    await talk.aclose()


async def test_the_client_stops_the_answer(start_server: StartServer, question: Sound) -> None:
    talk = await talking(start_server)
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.AudioDown)))
    await talk.client.send(wire.Set(generation=1))
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="interrupted")))
    count = len(talk.of(wire.AudioDown))
    await talk.say(silence(400))
    assert len(talk.of(wire.AudioDown)) == count
    assert talk.of(wire.Answer, event="interrupted")[0].reason == "client"
    await talk.aclose()


@pytest.mark.parametrize(("preroll_ms", "expected"), [(0, 0), (1_000, 25)])
async def test_a_client_chooses_how_much_from_before_the_speech_is_heard(
    start_server: StartServer, question: Sound, preroll_ms: int, expected: int
) -> None:
    talk = await talking(start_server)
    await talk.client.send(wire.Listen(0.5, preroll_ms), wire.Set(endpoint_min_ms=300, endpoint_max_ms=300))
    await talk.say(silence(1_500))
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.TurnCodes)))
    (endpoint,) = talk.of(wire.Endpoint)
    heard = talk.of(wire.TurnCodes)[0].codes.shape[1] - (endpoint.decided_ms - endpoint.start_ms) / 40
    assert heard == pytest.approx(expected, abs=2.5), "at 25 frames a second"
    await talk.aclose()


async def test_history_is_taken_and_forgotten_and_push_to_talk(start_server: StartServer, question: Sound) -> None:
    talk = await talking(start_server)
    codes = np.random.default_rng(0).integers(0, 1024, (8, 40)).astype(np.uint16)
    await talk.client.send(wire.History(codes, codes[:, :10]), wire.History(codes, codes[:, :0]))
    await talk.client.send(wire.Set(turn_taking="push"), wire.Key("press"))
    await talk.say(question)
    await talk.client.send(wire.Key("release"), wire.Forget())
    await talk.until_while_silent(lambda: bool(talk.of(wire.Answer, event="ended")))
    (endpoint,) = talk.of(wire.Endpoint)
    assert endpoint.reason == "released"
    assert talk.of(wire.Answer, event="started")[0].latency["speculated"] == 0
    await talk.aclose()


async def test_without_models_talk_is_refused_in_words(start_server: StartServer) -> None:
    running = await start_server(vad=True)
    client = await running.client()
    await client.send(wire.Open(mode="talk", preset="dialogue"))
    error = await client.expect(wire.Error)
    assert error.code == "unsupported_mode"


async def test_a_session_of_the_other_mode_is_told_so(start_server: StartServer) -> None:
    running = await start_server(talk=True)
    client = await running.client()
    await client.open()
    await client.send(wire.Key("press"))
    assert (await client.expect(wire.Error)).code == "bad_message"


async def test_a_client_that_vanishes_in_mid_answer_frees_its_slot(start_server: StartServer, question: Sound) -> None:
    running = await start_server(talk=True, slots=1)
    client = await running.client()
    await client.send(wire.Open(mode="talk", preset="dialogue"))
    await client.expect(wire.Opened)
    talk = Talk(client)
    await talk.say(question)
    await talk.until_while_silent(lambda: bool(talk.of(wire.AudioDown)))
    await talk.aclose()
    client.writer.transport.abort()
    other = await running.client()
    for _ in range(1000):
        if (await other.ask()).free:
            break
        await asyncio.sleep(0.01)
    await other.send(wire.Open(mode="talk", preset="dialogue"))
    assert (await other.expect(wire.Opened)).slot == 0


async def test_a_model_is_brought_beside_the_running_one(start_server: StartServer, tmp_path: Path) -> None:
    running = await start_server(talk=True)
    old = await running.client()
    await old.send(wire.Open(mode="talk", preset="dialogue"))
    assert (await old.expect(wire.Opened)).models["s2s"]["version"] == "random"

    file = tmp_path / "s2s-next.safetensors"
    assert running.service.shelf.s2s is not None
    export_s2s(running.service.shelf.s2s.model, file, {"version": "2"}, dtype=torch.float32)
    sha256 = str(read_card(file)["sha256"])
    admin = await running.client()
    await admin.send(wire.Load("s2s", "tiny", str(file), sha256))
    loaded = await admin.expect(wire.Loaded)
    assert loaded.models["talk"]["s2s"]["version"] == "2"
    new = await running.client()
    await new.send(wire.Open(mode="talk", preset="dialogue"))
    assert (await new.expect(wire.Opened)).models["s2s"]["sha256"] == sha256

    # What cannot be used changes nothing: another file than the card's, and no file at all.
    file.write_bytes(file.read_bytes()[:-100])
    for wrong in (
        wire.Load("s2s", "tiny", str(file), sha256),
        wire.Load("s2s", "tiny", "/nowhere.safetensors", sha256),
    ):
        await admin.send(wrong)
        assert (await admin.expect(wire.LoadFailed)).code == "bad_model"
    third = await running.client()
    await third.send(wire.Open(mode="talk", preset="dialogue"))
    assert (await third.expect(wire.Opened)).models["s2s"]["sha256"] == sha256
    # The one that was there before goes on.
    await old.send(wire.AudioUp(0, 0, 0, bytes(640)), wire.Ping(5))
    assert (await old.expect(wire.Pong)).id == 5
