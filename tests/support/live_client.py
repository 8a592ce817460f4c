"""A client of native protocol v1 for tests: real WebSocket, typed messages, audio in real time or in step."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from apps.voice import protocol
from apps.voice.protocol import AudioFrame, ErrorEvent, FrameKind, ServerEvent, Welcome

DEADLINE_S = 20.0
M = TypeVar("M")


def telugu_speech(folder: Path) -> bytes:
    """PCM16LE, 16 kHz: 0.6 s of silence, a Telugu sentence by espeak-ng, 1.2 s of silence."""
    raw = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", "te", "-s", "150", "-w", str(raw), "నమస్కారం మీరు ఎలా ఉన్నారు"], check=True)
    samples, rate = soundfile.read(raw, dtype="float64")
    at = np.arange(0, len(samples) - 1, rate / protocol.SAMPLE_RATE)
    speech = np.interp(at, np.arange(len(samples)), samples)
    padded = np.concatenate([np.zeros(9_600), speech, np.zeros(19_200)])
    padded = np.pad(padded, (0, -len(padded) % protocol.FRAME_SAMPLES))
    return bytes((padded * 32_767).astype("<i2").tobytes())


def frames_of(pcm: bytes) -> list[bytes]:
    """20 ms pieces."""
    size = protocol.UP_PAYLOAD_BYTES
    return [pcm[i : i + size] for i in range(0, len(pcm) - size + 1, size)]


class LiveClient:
    """What a browser does, by hand. ``events`` and ``audio`` collect what came; ``closed`` holds the close code."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[ServerEvent] = []
        self.audio: list[AudioFrame] = []
        self.close_code: int | None = None
        self.seq = 0
        self.generation = 0
        self.autoplay = True
        self.welcome: Welcome | None = None
        self._news = asyncio.Condition()
        self._ears = asyncio.create_task(self._hear())

    # -- sending -------------------------------------------------------------------------------------------

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hello(self, **changes: Any) -> Welcome:
        """Greet and wait for the welcome."""
        await self.say(**({"type": "hello", "protocol": 1, "mode": "reconstruct"} | changes))
        self.welcome = await self.wait_for(Welcome)
        self.generation = self.welcome.generation
        return self.welcome

    async def frame(self, pcm: bytes = bytes(640)) -> None:
        """One microphone frame."""
        header = AudioFrame(FrameKind.AUDIO_UP, self.seq, self.seq * 20, self.generation, pcm)
        self.seq += 1
        await self.socket.send(protocol.pack_audio(header))

    async def speak(self, pcm: bytes) -> None:
        """Frames in real time, as a microphone does."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, piece in enumerate(frames_of(pcm)):
            if (ahead := start + number * 0.02 - loop.time()) > 0:
                await asyncio.sleep(ahead)
            await self.frame(piece)

    async def in_step(self, pieces: list[bytes]) -> None:
        """Frames as fast as their audio comes back."""
        for piece in pieces:
            before = len(self.audio)
            await self.frame(piece)
            await self.until(lambda before=before: len(self.audio) > before, "audio to come back")

    # -- waiting -------------------------------------------------------------------------------------------

    async def until(self, ready: Any, what: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until ``ready()``; it is looked at whenever something came."""
        try:
            async with asyncio.timeout(deadline_s), self._news:
                while not ready():
                    if self.close_code is not None and self._ears.done():
                        raise AssertionError(
                            f"closed with {self.close_code} while waiting for {what}: {self.events[-5:]}"
                        )
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"waited {deadline_s} s for {what}; events: {self.events[-5:]}") from None

    async def wait_for(self, kind: type[M], number: int = 1, **fields: Any) -> M:
        """The ``number``-th event of that class (with those fields) since the connection began."""

        def found() -> list[Any]:
            return [
                e for e in self.events if isinstance(e, kind) and all(getattr(e, k) == v for k, v in fields.items())
            ]

        await self.until(lambda: len(found()) >= number, f"{number} x {kind.__name__} {fields or ''}")
        result: M = found()[number - 1]
        return result

    async def wait_closed(self, deadline_s: float = DEADLINE_S) -> int:
        """The close code."""
        async with asyncio.timeout(deadline_s):
            await asyncio.shield(self._ears)
        assert self.close_code is not None
        return self.close_code

    @property
    def errors(self) -> list[ErrorEvent]:
        return [event for event in self.events if isinstance(event, ErrorEvent)]

    @property
    def heard(self) -> bytes:
        return b"".join(frame.payload for frame in self.audio)

    async def end(self) -> int:
        """Say ``end`` and wait for the close."""
        await self.say(type="end")
        return await self.wait_closed()

    # -- hearing -------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        try:
            async for data in self.socket:
                if isinstance(data, bytes):
                    self.audio.append(protocol.parse_audio_down(data))
                    if self.autoplay and len(self.audio) % 5 == 0:
                        await self.report()
                else:
                    self.events.append(protocol.server_message_adapter.validate_json(data))
                async with self._news:
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self.socket.close_code
            with contextlib.suppress(RuntimeError):
                async with self._news:
                    self._news.notify_all()

    async def report(self) -> None:
        """``played`` for all that came of the newest generation."""
        newest = self.audio[-1]
        opus = newest.kind is FrameKind.OPUS_DOWN
        ms = newest.timestamp_ms + (protocol.FRAME_MS if opus else len(newest.payload) // protocol.BYTES_PER_MS)
        with contextlib.suppress(ConnectionClosed):
            await self.say(type="played", generation=newest.generation, played_ms=ms, buffered_ms=80, underruns=0)

    async def aclose(self) -> None:
        await self.socket.close()
        await asyncio.gather(self._ears, return_exceptions=True)


@contextlib.asynccontextmanager
async def live_client(ws_url: str, **options: Any) -> AsyncIterator[LiveClient]:
    """A connected client of ``stack.ws_url``, with the stack's own origin unless ``origin`` says otherwise."""
    origin = options.pop("origin", ws_url.replace("ws://", "http://").split("/ws/")[0])
    async with connect(ws_url, origin=origin, compression=None, max_queue=None, **options) as socket:
        client = LiveClient(socket)
        try:
            yield client
        finally:
            await client.aclose()


@contextlib.asynccontextmanager
async def microphone(client: LiveClient) -> AsyncIterator[asyncio.Queue[bytes]]:
    """A microphone that never stops: what is put into the queue is spoken, else there is silence."""
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        quiet = (np.random.default_rng(1).standard_normal(320) * 20).astype("<i2").tobytes()
        pieces: list[bytes] = []
        due = loop.time()
        while True:
            if not pieces and not said.empty():
                pieces = frames_of(said.get_nowait())
            await client.frame(pieces.pop(0) if pieces else quiet)
            due = max(due + 0.02, loop.time() - 0.5)
            await asyncio.sleep(max(0.0, due - loop.time()))

    task = asyncio.create_task(run())
    try:
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
