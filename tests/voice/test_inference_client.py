"""The client against real sockets whose other end plays a server that is full, silent, rude or gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from apps.voice.inference_client import InferenceBusy, InferenceLost, open_link
from ml.serve import wire

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OPENED = wire.Opened(0, 8, 16_000, 80, 320, 0.0, {"codec": {"preset": "hifi", "sha256": "0123456789abcdef"}})


@contextlib.asynccontextmanager
async def server(path: Path, behaviour: Behaviour) -> AsyncIterator[str]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await behaviour(reader, writer)
        finally:
            writer.transport.abort()
            serving.discard(task)

    listener = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix://{path}"
    finally:
        listener.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def full(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await wire.read_message(reader, wire.decode_client)
    await wire.write_message(writer, wire.Busy(3.5))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x00\x00\x00HTTP/1.1 400")
    await writer.drain()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers frames with their own audio; closes when it is told to."""
    assert isinstance(await wire.read_message(reader, wire.decode_client), wire.Open)
    await wire.write_message(writer, OPENED)
    while (message := await wire.read_message(reader, wire.decode_client)) is not None:
        match message:
            case wire.AudioUp():
                codes = np.zeros((8, 4), np.uint16)
                head = (message.seq, message.timestamp_ms, message.generation)
                await wire.write_message(writer, wire.AudioDown(*head, 1, 2, 3, codes, message.pcm))
            case wire.Ping():
                await wire.write_message(writer, wire.Pong(message.id))
            case wire.Close():
                return


async def fails_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await wire.read_message(reader, wire.decode_client)
    await wire.write_message(writer, OPENED)
    await wire.read_message(reader, wire.decode_client)
    await wire.write_message(writer, wire.Error("device", "out of memory"))


async def test_audio_comes_back(tmp_path: Path) -> None:
    async with server(tmp_path / "a", echo) as url:
        link = await open_link([url], mode="reconstruct", quantizers=8)
        assert link.codec_model == "hifi@0123456789ab"
        await link.send_audio(5, 100, 2, b"ab" * 320)
        down = await link.receive()
        assert isinstance(down, wire.AudioDown)
        assert (down.seq, down.timestamp_ms, down.generation, down.pcm) == (5, 100, 2, b"ab" * 320)
        await link.aclose()


@pytest.mark.parametrize("broken", [full, silent, rude], ids=lambda f: f.__name__)
async def test_a_server_that_cannot_serve_is_passed_over(tmp_path: Path, broken: Behaviour) -> None:
    async with server(tmp_path / "a", broken) as bad, server(tmp_path / "b", echo) as good:
        urls = [bad, f"unix://{tmp_path}/nobody", good]
        for _ in range(4):  # it begins at a random one
            link = await open_link(urls, mode="reconstruct", quantizers=8, open_timeout_s=0.1)
            assert str(link.address) == good
            await link.aclose()


async def test_when_all_are_full_the_shortest_wait_is_told(tmp_path: Path) -> None:
    async with server(tmp_path / "a", full) as url:
        with pytest.raises(InferenceBusy) as caught:
            await open_link([url, f"unix://{tmp_path}/nobody"], mode="reconstruct", quantizers=8)
    assert caught.value.retry_after_s == 3.5


@pytest.mark.parametrize("urls", [[], ["unix:///nowhere/at.sock"], ["tcp://127.0.0.1:1"]])
async def test_no_server_at_all_is_busy_too(urls: list[str]) -> None:
    with pytest.raises(InferenceBusy, match="no inference server answers"):
        await open_link(urls, mode="reconstruct", quantizers=8)


async def test_an_error_or_the_end_of_the_stream_is_a_loss(tmp_path: Path) -> None:
    async with server(tmp_path / "a", fails_later) as url:
        link = await open_link([url], mode="reconstruct", quantizers=8)
        await link.set(generation=1)
        with pytest.raises(InferenceLost, match="out of memory"):
            await link.receive()
        with pytest.raises(InferenceLost):
            await link.receive()
        await link.aclose()


async def test_a_server_that_stops_reading_holds_the_sender_back(tmp_path: Path) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.read_message(reader, wire.decode_client)
        await wire.write_message(writer, OPENED)
        await asyncio.Event().wait()

    async with server(tmp_path / "a", deaf) as url:
        link = await open_link([url], mode="reconstruct", quantizers=8)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                for seq in range(100_000):
                    await link.send_audio(seq, 0, 0, bytes(640))
        assert link._writer.transport.get_write_buffer_size() < 2 * 16 * 1024
        await link.aclose()
