"""The web process's end of the inference protocol: find a server with room, hold one connection per live session.

The messages are :mod:`ml.serve.wire`'s, the one module of ``ml`` that this side may import (it is free of torch).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml.serve.wire import (
    Address,
    Answer,
    AudioDown,
    AudioUp,
    Busy,
    Captioned,
    ClientMessage,
    Close,
    Codes,
    Draining,
    Endpoint,
    Error,
    Forget,
    History,
    Key,
    KeyEvent,
    LabDone,
    LabPiece,
    Listen,
    Loaded,
    LoadFailed,
    Mode,
    Open,
    Opened,
    Ping,
    Pong,
    ServerMessage,
    Set,
    Speech,
    Stats,
    TurnCodes,
    TurnTaking,
    Voice,
    WireError,
    connect,
    decode_server,
    encode,
    parse_address,
    read_message,
)

__all__ = [
    "Answer",
    "AudioDown",
    "Codes",
    "Draining",
    "Endpoint",
    "InferenceBusy",
    "InferenceLink",
    "InferenceLost",
    "InferenceRefused",
    "KeyEvent",
    "Pong",
    "Speech",
    "TalkOptions",
    "TurnCodes",
    "Voice",
    "open_link",
]

SessionMessage = AudioDown | Speech | Draining | Pong | Endpoint | Answer | TurnCodes

logger = logging.getLogger(__name__)

PRESETS: dict[Mode, str] = {"reconstruct": "hifi", "talk": "dialogue"}
"""Which codec a mode works with."""
_REFUSALS = ("unsupported_mode", "unknown_preset")
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


class InferenceRefused(Exception):
    """No server offers what was asked for (a mode, a preset); trying again is of no use."""


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """How a conversation begins."""

    voice: Voice
    turn_taking: TurnTaking = "stream"
    endpoint_min_ms: int | None = None
    endpoint_max_ms: int | None = None


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
        self.recalled: list[History] = []
        """Turns of earlier connections that the model was told."""

    @property
    def codec_model(self) -> str:
        """``preset@`` and the first twelve digits of the weights' SHA-256."""
        return self.models["codec"]

    @property
    def models(self) -> dict[str, str]:
        """Every model of this session, as `codec_model` names them."""
        found = {"codec": _name({})}
        for kind, card in self.opened.models.items():
            if isinstance(card, dict):
                found[kind] = _name(card)
        return found

    def silent_s(self) -> float:
        """Seconds since anything came from the server."""
        return time.monotonic() - self._last_heard

    async def send_audio(self, seq: int, timestamp_ms: int, generation: int, pcm: bytes) -> None:
        """One 20 ms frame; waits while the server does not read. Raises :class:`InferenceLost`."""
        await self._send(AudioUp(seq, timestamp_ms, generation, pcm))

    async def set(
        self,
        *,
        quantizers: int | None = None,
        generation: int | None = None,
        heard_ms: int | None = None,
        voice: Voice | None = None,
        now: bool = False,
        turn_taking: TurnTaking | None = None,
        endpoint_min_ms: int | None = None,
        endpoint_max_ms: int | None = None,
    ) -> None:
        """Change the session; see :class:`ml.serve.messages.Set`. Raises :class:`InferenceLost`."""
        await self._send(
            Set(
                quantizers=quantizers,
                generation=generation,
                heard_ms=heard_ms,
                voice=voice,
                now=now,
                turn_taking=turn_taking,
                endpoint_min_ms=endpoint_min_ms,
                endpoint_max_ms=endpoint_max_ms,
            )
        )

    async def key(self, event: KeyEvent) -> None:
        """Push-to-talk. Raises :class:`InferenceLost`."""
        await self._send(Key(event))

    async def listen(self, wish: Listen) -> None:
        """What counts as speech, and what follows from it. Raises :class:`InferenceLost`."""
        await self._send(wish)

    async def forget(self) -> None:
        """The model forgets the conversation. Raises :class:`InferenceLost`."""
        await self._send(Forget())

    async def recall(self, turns: Sequence[History]) -> None:
        """Have the model remember these turns, oldest first. Before any audio."""
        for turn in turns:
            await self._send(turn)
        self.recalled = list(turns)

    async def ping(self, number: int) -> None:
        """Ask for a sign of life. Raises :class:`InferenceLost`."""
        await self._send(Ping(id=number))

    async def receive(self) -> SessionMessage:
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
                case Opened() | Busy() | Stats() | Loaded() | LoadFailed() | LabPiece() | LabDone() | Captioned():
                    continue
                case _:
                    return message

    async def aclose(self) -> None:
        """Free the slot; never raises for a server that is gone."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write(encode(Close()))
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _send(self, message: ClientMessage) -> None:
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as error:
            raise InferenceLost(f"{self.address}: {error}") from error


async def open_link(
    urls: Sequence[str],
    *,
    mode: Mode,
    quantizers: int,
    talk: TalkOptions | None = None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    open_timeout_s: float = OPEN_TIMEOUT_S,
) -> InferenceLink:
    """A slot on the first of ``urls`` that has one. Who gives them puts the least loaded first.

    Raises:
        InferenceBusy: every server is full or does not answer.
        InferenceRefused: a server answers, but none offers this mode.
        WireError: an address in ``urls`` is not one (a mistake in the configuration).
    """
    addresses = [parse_address(url) for url in urls]
    request = _request(mode, quantizers, talk)
    retry_after_s: float | None = None
    refused: str | None = None
    for address in addresses:
        try:
            answer = await _ask(address, request, connect_timeout_s, open_timeout_s)
        except WireError as error:
            logger.warning("inference server %s: %s", address, error)
            refused = str(error) if error.code in _REFUSALS else refused
            continue
        except OSError as error:
            logger.warning("inference server %s: %s", address, error or type(error).__name__)
            continue
        if isinstance(answer, InferenceLink):
            return answer
        retry_after_s = min(retry_after_s or answer.retry_after_s, answer.retry_after_s)
    if retry_after_s is not None:
        raise InferenceBusy("every slot is taken", retry_after_s)
    if refused is not None:
        raise InferenceRefused(refused)
    raise InferenceBusy("no inference server answers", RETRY_AFTER_S)


def _request(mode: Mode, quantizers: int, talk: TalkOptions | None) -> Open:
    if mode == "reconstruct" or talk is None:
        return Open(mode=mode, preset=PRESETS[mode], quantizers=quantizers)
    return Open(
        mode=mode,
        preset=PRESETS[mode],
        quantizers=quantizers,
        voice=talk.voice,
        turn_taking=talk.turn_taking,
        endpoint_min_ms=talk.endpoint_min_ms,
        endpoint_max_ms=talk.endpoint_max_ms,
    )


def _name(card: dict[str, Any]) -> str:
    return f"{card.get('preset', 'unknown')}@{str(card.get('sha256', ''))[:12]}"


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
