"""The web process's end of the inference protocol: find a server with room, hold one connection per live session.

The messages are :mod:`ml.serve.wire`'s, the one module of ``ml`` that this side may import (it is free of torch).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Sequence
from typing import Literal

from ml.serve.wire import (
    Address,
    AudioDown,
    AudioUp,
    Busy,
    Close,
    Draining,
    Error,
    Open,
    Opened,
    Ping,
    Pong,
    ServerMessage,
    Set,
    Speech,
    Stats,
    WireError,
    connect,
    decode_server,
    encode,
    parse_address,
    read_message,
)

__all__ = ["AudioDown", "Draining", "InferenceBusy", "InferenceLink", "InferenceLost", "Pong", "Speech", "open_link"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 0.5
OPEN_TIMEOUT_S = 1.5
RETRY_AFTER_S = 2.0
"""What a client is told when no server answers at all: about the time that one takes to be restarted."""
WRITE_BUFFER_BYTES = 16 * 1024
"""Half a second of audio: a server that does not read must be felt here, where the oldest frame can be dropped."""


class InferenceBusy(Exception):
    """No server has a slot (or none answers); ``retry_after_s`` is when it may be worth another try."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InferenceLost(Exception):
    """The server went away, broke the protocol, or said that it cannot go on."""


class InferenceLink:
    """One live session's slot. Made by :func:`open_link`; closing it frees the slot."""

    def __init__(
        self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: Opened
    ) -> None:
        self.address = address
        self.opened = opened
        self._reader = reader
        self._writer = writer
        self._last_heard = time.monotonic()

    @property
    def codec_model(self) -> str:
        """``preset@`` and the first twelve digits of the weights' SHA-256."""
        codec = self.opened.models.get("codec") or {}
        return f"{codec.get('preset', 'unknown')}@{str(codec.get('sha256', ''))[:12]}"

    def silent_s(self) -> float:
        """Seconds since anything came from the server."""
        return time.monotonic() - self._last_heard

    async def send_audio(self, seq: int, timestamp_ms: int, generation: int, pcm: bytes) -> None:
        """One 20 ms frame; waits while the server does not read. Raises :class:`InferenceLost`."""
        await self._send(AudioUp(seq, timestamp_ms, generation, pcm))

    async def set(self, *, quantizers: int | None = None, generation: int | None = None) -> None:
        """Change the session from the next frame on. Raises :class:`InferenceLost`."""
        await self._send(Set(quantizers=quantizers, generation=generation))

    async def ping(self, number: int) -> None:
        """Ask for a sign of life. Raises :class:`InferenceLost`."""
        await self._send(Ping(id=number))

    async def receive(self) -> AudioDown | Speech | Draining | Pong:
        """The next event of the session. Raises :class:`InferenceLost` when there will be none."""
        while True:
            try:
                message = await read_message(self._reader, decode_server)
            except (OSError, WireError) as error:
                raise InferenceLost(f"{self.address}: {error}") from error
            self._last_heard = time.monotonic()
            match message:
                case None:
                    raise InferenceLost(f"{self.address} closed the connection")
                case Error():
                    raise InferenceLost(f"{self.address}: {message.code}: {message.message}")
                case AudioDown() | Speech() | Draining() | Pong():
                    return message
                case Opened() | Busy() | Stats():
                    continue

    async def aclose(self) -> None:
        """Free the slot; never raises for a server that is gone."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write(encode(Close()))
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _send(self, message: AudioUp | Set | Ping) -> None:
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as error:
            raise InferenceLost(f"{self.address}: {error}") from error


async def open_link(
    urls: Sequence[str],
    *,
    mode: Literal["reconstruct", "talk"],
    quantizers: int,
    preset: str = "hifi",
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    open_timeout_s: float = OPEN_TIMEOUT_S,
) -> InferenceLink:
    """A slot on the first of ``urls`` that has one, beginning at a random one so that load spreads.

    Raises:
        InferenceBusy: every server is full or does not answer.
        WireError: an address in ``urls`` is not one (a mistake in the configuration).
    """
    addresses = [parse_address(url) for url in urls]
    start = random.randrange(len(addresses)) if addresses else 0
    retry_after_s: float | None = None
    for address in addresses[start:] + addresses[:start]:
        request = Open(mode=mode, preset=preset, quantizers=quantizers)
        try:
            answer = await _ask(address, request, connect_timeout_s, open_timeout_s)
        except (OSError, WireError) as error:
            logger.warning("inference server %s: %s", address, error or type(error).__name__)
            continue
        if isinstance(answer, InferenceLink):
            return answer
        retry_after_s = min(retry_after_s or answer.retry_after_s, answer.retry_after_s)
    if retry_after_s is not None:
        raise InferenceBusy("every slot is taken", retry_after_s)
    raise InferenceBusy("no inference server answers", RETRY_AFTER_S)


async def _ask(
    address: Address, request: Open, connect_timeout_s: float, open_timeout_s: float
) -> InferenceLink | Busy:
    async with asyncio.timeout(connect_timeout_s):
        reader, writer = await connect(address)
    try:
        async with asyncio.timeout(open_timeout_s):
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            writer.write(encode(request))
            await writer.drain()
            answer = await _first_answer(reader)
    except BaseException:
        writer.close()
        raise
    if isinstance(answer, Opened):
        return InferenceLink(address, reader, writer, answer)
    writer.close()
    return answer


async def _first_answer(reader: asyncio.StreamReader) -> Opened | Busy:
    while True:
        answer: ServerMessage | None = await read_message(reader, decode_server)
        match answer:
            case None:
                raise ConnectionResetError("closed the connection without an answer")
            case Opened() | Busy():
                return answer
            case Error():
                raise WireError(answer.code, answer.message)
            case _:
                continue
