"""The server over real sockets: what comes back, who gets in, and what one bad client does to the others."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ml.codec import TeluCodec
from ml.serve import wire
from ml.serve.server import ServerConfig
from tests.ml.serve.client import DEADLINE_S, Client, frames_of, noise
from tests.ml.serve.conftest import Running, StartServer
from tests.support.waiting import wait_until_async

Int16 = npt.NDArray[np.int16]


async def until(condition: Callable[[], bool], what: str) -> None:
    """Let the loop and the device thread run until ``condition`` holds."""
    await wait_until_async(condition, DEADLINE_S, what, every_s=0.001)


@contextlib.contextmanager
def device_held(running: Running) -> Iterator[Callable[[], bool]]:
    """The device hangs in its next step until the block ends; the yielded function tells whether it does already."""
    entered, release = threading.Event(), threading.Event()
    step = running.service.stepper.step

    def held(*args: object) -> object:
        entered.set()
        assert release.wait(DEADLINE_S)
        return step(*args)  # type: ignore[arg-type]

    running.service.stepper.step = held  # type: ignore[method-assign,assignment]
    try:
        yield entered.is_set
    finally:
        running.service.stepper.step = step  # type: ignore[method-assign]
        release.set()


def offline(codec: TeluCodec, audio: Int16, quantizers: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Codes [8, F] and audio of the codec fed with the whole recording, clipped as PCM16 is."""
    with torch.inference_mode():
        samples = torch.from_numpy(audio.astype(np.float32) / 32768.0)[None]
        codes = codec.encode(samples)
        return codes[0].numpy(), codec.decode(codes, quantizers)[0].clamp(-1, 1).numpy()[: len(audio)]


async def collect(client: Client, count: int) -> list[wire.AudioDown]:
    return [await client.expect(wire.AudioDown) for _ in range(count)]


def heard(downs: list[wire.AudioDown]) -> npt.NDArray[np.float32]:
    return np.concatenate([np.frombuffer(down.pcm, "<i2") for down in downs]).astype(np.float32) / 32768.0


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> wire.Address:
    if request.param == "unix":
        return wire.Address(path=str(tmp_path / "i.sock"))
    return wire.Address(host="127.0.0.1", port=0)


async def test_sessions_out_of_step_each_hear_their_own_codec(
    start_server: StartServer, codec: TeluCodec, address: wire.Address
) -> None:
    running = await start_server(address=address)
    one, two = await running.client(), await running.client()
    audio = {one: noise(1.0, 1), two: noise(0.6, 2)}
    quantizers = {one: 8, two: 3}
    assert (await one.open(8)).slot != (await two.open(3)).slot
    frames = {client: frames_of(samples) for client, samples in audio.items()}
    downs: dict[Client, list[wire.AudioDown]] = {one: [], two: []}
    # `one` runs ahead by 7 frames, then they alternate unevenly: batches of one and of two rows mix.
    order = [one] * 7 + [two, one, two, two, one] * 40
    for client in order:
        sent = len(downs[client])
        if sent < len(frames[client]):
            await client.send(frames[client][sent])
            downs[client].append(await client.expect(wire.AudioDown))
    for client, samples in audio.items():
        got = downs[client]
        assert [(d.seq, d.timestamp_ms) for d in got] == [(f.seq, f.timestamp_ms) for f in frames[client]]
        codes, expected = offline(codec, samples, quantizers[client])
        stream = np.concatenate([d.codes for d in got], axis=1)
        np.testing.assert_array_equal(stream, codes[:, : stream.shape[1]])
        delay = codec.config.delay_samples
        np.testing.assert_allclose(heard(got)[delay:], expected[: len(samples) - delay], atol=1e-4)


async def test_rows_in_one_batch_equal_rows_alone(start_server: StartServer, codec: TeluCodec) -> None:
    running = await start_server()
    clients = [await running.client() for _ in range(3)]
    audio = [noise(0.4, seed) for seed in (5, 6, 7)]
    for client, quantizers in zip(clients, (1, 4, 8), strict=True):
        await client.open(quantizers)
    with device_held(running) as is_held:  # all queue up behind the first frame, so that steps have three rows
        await clients[0].send(frames_of(audio[0])[0])
        await until(is_held, "the device takes the first frame")
        await clients[0].send(*frames_of(audio[0])[1:])
        await clients[1].send(*frames_of(audio[1]))
        await clients[2].send(*frames_of(audio[2]))
        await until(lambda: running.service.engine.stats().ticks == 0 and _queued(running) == 59, "all frames wait")
    for client, samples, quantizers in zip(clients, audio, (1, 4, 8), strict=True):
        got = heard(await collect(client, 20))
        _, expected = offline(codec, samples, quantizers)
        delay = codec.config.delay_samples
        np.testing.assert_allclose(got[delay:], expected[: len(samples) - delay], atol=1e-4)
    assert running.service.engine.stats().ticks == 21


def _queued(running: Running) -> int:
    return sum(len(session.queue) for session in running.service.server._by_session)


async def test_quantizers_apply_from_the_next_frame(start_server: StartServer, codec: TeluCodec) -> None:
    running = await start_server()
    plain, changed = await running.client(), await running.client()
    await plain.open(8)
    await changed.open(8)
    frames = frames_of(noise(0.2, 3))
    for client in (plain, changed):
        await client.send(*frames[:5])
    await changed.send(wire.Set(quantizers=1))
    for client in (plain, changed):
        await client.send(*frames[5:])
    a, b = await collect(plain, 10), await collect(changed, 10)
    assert [x.pcm == y.pcm for x, y in zip(a, b, strict=True)] == [True] * 5 + [False] * 5
    assert all(np.array_equal(x.codes, y.codes) and x.levels == 8 for x, y in zip(a, b, strict=True))


async def test_full_means_busy_at_once_and_a_vanished_client_makes_room(start_server: StartServer) -> None:
    running = await start_server(slots=2)
    first, second, third = [await running.client() for _ in range(3)]
    await first.open()
    await second.open()
    await third.send(wire.Open())
    busy = await third.expect(wire.Busy)
    assert busy.retry_after_s > 0
    assert await third.receive() is None
    first.writer.transport.abort()  # no goodbye
    await until(lambda: running.service.engine.stats().active == 1, "the slot is free again")
    assert (await (await running.client()).open()).slot == 0


async def test_a_slot_is_free_at_once_even_while_the_device_works_for_it(
    start_server: StartServer, codec: TeluCodec
) -> None:
    running = await start_server(slots=1)
    old, new = await running.client(), await running.client()
    await old.open()
    audio = noise(0.2, 8)
    with device_held(running) as is_held:
        await old.send(*frames_of(noise(0.2, 9)))
        await until(is_held, "the device works for the old client")
        old.writer.transport.abort()
        await until(lambda: running.service.engine.stats().active == 0, "the slot is free")
        await new.open()
        await new.send(*frames_of(audio))
    downs = await collect(new, 10)
    assert [down.seq for down in downs] == list(range(10))
    _, expected = offline(codec, audio, 8)  # nothing of the old client's state is left in the row
    delay = codec.config.delay_samples
    np.testing.assert_allclose(heard(downs)[delay:], expected[: len(audio) - delay], atol=1e-4)


async def test_many_come_and_go(start_server: StartServer) -> None:
    running = await start_server(slots=3)

    async def visit(seed: int) -> bool:
        client = await Client.connect(running.address)
        try:
            await client.send(wire.Open())
            message = await client.receive()
            if isinstance(message, wire.Busy):
                return False
            await client.send(*frames_of(noise(0.06, seed)))
            if seed % 3:
                await collect(client, 3)
            return True
        finally:
            client.writer.transport.abort() if seed % 2 else await client.close()

    served = [ok for start in range(0, 60, 6) for ok in await asyncio.gather(*map(visit, range(start, start + 6)))]
    assert sum(served) >= 30
    server = running.service.server
    await until(lambda: not server._connections and not server._by_session, "nothing is left of them")
    assert running.service.engine.stats().active == 0


async def test_a_full_queue_drops_the_oldest_and_counts(start_server: StartServer) -> None:
    running = await start_server(queue_frames=5)
    client = await running.client()
    await client.open()
    frames = frames_of(noise(0.4, 4))
    with device_held(running) as is_held:
        await client.send(frames[0])
        await until(is_held, "the device takes the first frame")
        await client.send(*frames[1:])
        assert (await client.ask()).dropped == 14  # the answer comes after all frames were taken in
    assert [down.seq for down in await collect(client, 6)] == [0, 15, 16, 17, 18, 19]
    assert running.service.engine.stats().late_ticks <= running.service.engine.stats().ticks


async def test_raising_the_generation_silences_what_was_queued_and_what_was_in_work(start_server: StartServer) -> None:
    running = await start_server()
    client = await running.client()
    await client.open()
    with device_held(running) as is_held:
        await client.send(*frames_of(noise(0.2, 4)))
        await until(is_held, "the device works on the old generation")
        await client.send(wire.Set(generation=1), *frames_of(noise(0.04, 5), generation=1))
        assert (await client.ask()).dropped == 0
    assert [(down.seq, down.generation) for down in await collect(client, 2)] == [(0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (struct.pack("<I", 2**31) + b"\x01", "oversize"),
        (b"\x08\0\0\0\x01{broken", "bad_json"),
        (b"\x01\0\0\0\x77", "bad_kind"),
        (b"\x04\0\0\0\x02abc", "frame_size"),
        (wire.encode(frames_of(noise(0.02, 1))[0]), "not_open"),
        (wire.encode(wire.Set(quantizers=2)), "not_open"),
        (wire.encode(wire.Open(preset="dialogue")), "unknown_preset"),
        (wire.encode(wire.Open(mode="talk")), "unsupported_mode"),
        (wire.encode(wire.Open()) * 2, "already_open"),
    ],
)
async def test_a_bad_message_ends_its_own_connection_only(
    start_server: StartServer, address: wire.Address, data: bytes, code: str
) -> None:
    running = await start_server(address=address)
    good, bad = await running.client(), await running.client()
    await good.open()
    # What follows the bad message must not cost the client the error: unread input would reset the connection.
    await bad.send_raw(data + b"\0" * 5000)
    messages = await bad.rest()
    assert [m.code for m in messages if isinstance(m, wire.Error)] == [code]
    await good.send(*frames_of(noise(0.1, 1)))
    await collect(good, 5)
    assert (await good.ask()).active == 1


async def test_health_checks_need_no_session(start_server: StartServer, address: wire.Address) -> None:
    running = await start_server(address=address, slots=1)
    await (await running.client()).open()
    stats = await wire.probe(running.address)
    assert (stats.active, stats.free, stats.capacity, stats.draining) == (1, 0, 1, False)
    assert stats.models["codec"]["preset"] == "hifi"
    client = await running.client()
    await client.send(wire.Ping(41))
    assert await client.expect(wire.Pong) == wire.Pong(41)


async def test_close_finishes_what_is_queued(start_server: StartServer) -> None:
    running = await start_server()
    client = await running.client()
    await client.open()
    await client.send(*frames_of(noise(0.2, 4)), wire.Close())
    assert [m.seq for m in await client.rest() if isinstance(m, wire.AudioDown)] == list(range(10))
    await until(lambda: running.service.engine.stats().active == 0, "the slot is free")


async def test_nothing_is_answered_after_close(
    start_server: StartServer, address: wire.Address, caplog: pytest.LogCaptureFixture
) -> None:
    running = await start_server(address=address)
    client = await running.client()
    await client.open()
    await client.send(wire.Close(), wire.Ping(1), wire.Open(), wire.StatsRequest())
    assert await client.rest() == []
    await until(lambda: not running.service.server._by_session, "the slot is free and no other was taken")
    assert "failed" not in caplog.text


async def test_drain_finishes_queues_and_refuses_new_sessions(start_server: StartServer) -> None:
    running = await start_server()
    client, idle = await running.client(), await running.client()
    await client.open()
    with device_held(running) as is_held:
        await client.send(*frames_of(noise(0.2, 4)))
        await until(lambda: is_held() and _queued(running) == 9, "frames wait")
        drained = asyncio.create_task(running.service.server.drain())
        await client.expect(wire.Draining)
        await client.send(*frames_of(noise(0.2, 4)))  # too late
        await idle.send(wire.Open())
        assert (await idle.expect(wire.Busy)).retry_after_s > 0
        assert (await wire.probe(running.address)).draining
        assert not drained.done()
    assert [m.seq for m in await client.rest() if isinstance(m, wire.AudioDown)] == list(range(10))
    await drained
    with pytest.raises(OSError):
        await wire.connect(running.address)


async def test_a_client_that_does_not_read_is_cut_off(start_server: StartServer) -> None:
    running = await start_server(queue_frames=500, server=ServerConfig(max_unsent_bytes=20_000))
    client, other = await running.client(), await running.client()
    await client.open()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    frames = frames_of(noise(10.0, 4))
    connection = next(iter(running.service.server._by_session.values()))
    with contextlib.suppress(ConnectionError):
        while running.service.engine.stats().active:
            await client.send(*frames)
            assert connection.writer.transport.get_write_buffer_size() < 30_000
    await other.open()


async def test_too_many_connections_are_told_busy(start_server: StartServer) -> None:
    running = await start_server(server=ServerConfig(max_connections=3))
    clients = [await running.client() for _ in range(3)]
    for client in clients:
        await client.ask()
    assert isinstance(await (await running.client()).receive(), wire.Busy)
    await clients[0].open()


async def test_a_silent_connection_without_a_session_is_closed(start_server: StartServer) -> None:
    running = await start_server(server=ServerConfig(idle_s=0.05))
    idle, holder = await running.client(), await running.client()
    await holder.open()
    assert await idle.receive() is None
    assert (await holder.ask()).active == 1


async def test_a_failing_device_ends_the_service(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    running = await start_server()
    client = await running.client()
    await client.open()

    def broken(*_: object) -> None:
        raise RuntimeError("device lost")

    running.service.stepper.step = broken  # type: ignore[method-assign,assignment]
    await client.send(*frames_of(noise(0.02, 4)))
    async with asyncio.timeout(DEADLINE_S):
        await running.service.leave.wait()
    assert str(running.service.failure) == "device lost"
    assert "device thread failed" in caplog.text


async def test_speech_is_told_in_media_time(start_server: StartServer, telugu_speech: Int16) -> None:
    running = await start_server(queue_frames=500, vad=True)
    client = await running.client()
    await client.open()
    silence = np.zeros(16_000, np.int16)
    whole = np.concatenate([silence, telugu_speech, silence])
    frames = frames_of(whole[: len(whole) // 320 * 320])
    await client.send(*frames, wire.Close())
    events = [m for m in await client.rest() if isinstance(m, wire.Speech)]
    assert [event.event for event in events] == ["started", "stopped"] * (len(events) // 2)
    assert 900 <= events[0].at_ms <= 1300
    assert abs(events[-1].at_ms - (1000 + len(telugu_speech) / 16)) < 400
