"""A small client of the inference protocol, for tests."""

import asyncio
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ml.serve import wire

M = TypeVar("M")
DEADLINE_S = 30.0


def noise(seconds: float, seed: int) -> npt.NDArray[np.int16]:
    """Noise as int16 at 16 kHz, a whole number of 20 ms frames."""
    frames = round(seconds * 50)
    return (np.random.default_rng(seed).standard_normal(frames * wire.FRAME_SAMPLES) * 3000).astype(np.int16)


def frames_of(audio: npt.NDArray[np.int16], generation: int = 0) -> list[wire.AudioUp]:
    """The up frames of a recording, numbered from 0."""
    return [
        wire.AudioUp(i, i * wire.FRAME_MS, generation, chunk.astype("<i2").tobytes())
        for i, chunk in enumerate(audio.reshape(-1, wire.FRAME_SAMPLES))
    ]


class Client:
    """One connection. Everything that waits has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: wire.Address) -> "Client":
        async with asyncio.timeout(DEADLINE_S):
            return cls(*await wire.connect(address))

    async def send(self, *messages: wire.ClientMessage) -> None:
        for message in messages:
            await wire.write_message(self.writer, message)

    async def send_raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> wire.ServerMessage | None:
        """The next message; None at the end of the stream."""
        async with asyncio.timeout(DEADLINE_S):
            return await wire.read_message(self.reader, wire.decode_server)

    async def expect(self, kind: type[M]) -> M:
        """The next message of ``kind``; others before it are skipped."""
        while (message := await self.receive()) is not None:
            if isinstance(message, kind):
                return message
        raise AssertionError(f"the stream ended before {kind.__name__}")

    async def open(self, quantizers: int = 8) -> wire.Opened:
        await self.send(wire.Open(quantizers=quantizers))
        return await self.expect(wire.Opened)

    async def ask(self) -> wire.Stats:
        await self.send(wire.StatsRequest())
        return await self.expect(wire.Stats)

    async def rest(self) -> list[wire.ServerMessage]:
        """Everything up to the end of the stream."""
        found = []
        while (message := await self.receive()) is not None:
            found.append(message)
        return found

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.writer.wait_closed()
        except OSError:
            pass
