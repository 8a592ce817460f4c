"""Inference protocol v1: the framed stream between a web process and an inference server.

One connection per live session, over a unix socket or TCP. A message is a little-endian ``u32`` length of what
follows (type byte and body, at most :data:`MAX_MESSAGE_BYTES`), a ``u8`` type and a body:

* ``0x01`` a UTF-8 JSON object with a ``type`` member (control),
* ``0x02`` audio up: ``u32 seq, u32 timestamp_ms, u32 generation`` and 320 samples PCM16LE at 16 kHz (20 ms),
* ``0x03`` audio down: ``u32 seq, u32 timestamp_ms, u32 generation, u32 queue_us, u32 encode_us, u32 decode_us,
  u16 frames, u16 levels``, then codes ``u16`` [levels x frames] and PCM16LE [frames x hop],
* ``0x04`` codes of what the person said: ``u32 turn, u16 levels, u16 frames``, then codes,
* ``0x05`` history up: ``u16 levels, u16 question frames, u16 answer frames``, then both sides' codes and, where it
  is known, ``u32 plan``,
* ``0x06`` a part of a recording for the codec lab or a caption, up: PCM16LE,
* ``0x07`` a part of the lab's result: ``u16 levels, u16 frames``, then codes and PCM16LE.

This module knows neither torch nor Django, so that both sides share one definition.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from ml.serve.address import Address, connect, parse_address
from ml.serve.encoding import LENGTH, MAX_MESSAGE_BYTES, decode_client, decode_server, encode
from ml.serve.lab_messages import (
    MAX_CAPTION_SAMPLES,
    MAX_LAB_PIECE_BYTES,
    MAX_LAB_SAMPLES,
    Caption,
    Captioned,
    Lab,
    LabDone,
    LabPiece,
    LabUp,
)
from ml.serve.messages import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    MAX_QUANTIZERS,
    PROTOCOL_VERSION,
    SAMPLE_RATE,
    AudioDown,
    AudioUp,
    Busy,
    ClientMessage,
    Close,
    Draining,
    Error,
    Message,
    Mode,
    Open,
    Opened,
    Ping,
    Pong,
    ServerMessage,
    Set,
    Speech,
    Stats,
    StatsRequest,
    WireError,
)
from ml.serve.talk_messages import (
    Answer,
    Answered,
    Codes,
    Endpoint,
    Forget,
    History,
    Key,
    KeyEvent,
    Listen,
    Load,
    Loaded,
    LoadFailed,
    TurnCodes,
    TurnTaking,
    Voice,
)

__all__ = [
    "FRAME_BYTES",
    "FRAME_MS",
    "FRAME_SAMPLES",
    "MAX_CAPTION_SAMPLES",
    "MAX_LAB_PIECE_BYTES",
    "MAX_LAB_SAMPLES",
    "MAX_MESSAGE_BYTES",
    "MAX_QUANTIZERS",
    "PROTOCOL_VERSION",
    "SAMPLE_RATE",
    "Address",
    "Answer",
    "Answered",
    "AudioDown",
    "AudioUp",
    "Busy",
    "Caption",
    "Captioned",
    "ClientMessage",
    "Close",
    "Codes",
    "Draining",
    "Endpoint",
    "Error",
    "Forget",
    "History",
    "Key",
    "KeyEvent",
    "Lab",
    "LabDone",
    "LabPiece",
    "LabUp",
    "Listen",
    "Load",
    "LoadFailed",
    "Loaded",
    "Message",
    "Mode",
    "Open",
    "Opened",
    "Ping",
    "Pong",
    "ServerMessage",
    "Set",
    "Speech",
    "Stats",
    "StatsRequest",
    "TurnCodes",
    "TurnTaking",
    "Voice",
    "WireError",
    "ask",
    "connect",
    "decode_client",
    "decode_server",
    "encode",
    "parse_address",
    "probe",
    "read_message",
    "read_payload",
    "write_message",
]

M = TypeVar("M")


async def read_payload(reader: asyncio.StreamReader) -> bytes | None:
    """The next message without its length prefix; ``None`` when the peer closed between two messages.

    The length is checked before a byte of the body is read, so that a bad prefix costs no memory.

    Raises:
        WireError: length of zero or over the limit, or the peer closed inside a message.
    """
    try:
        prefix = await reader.readexactly(LENGTH.size)
    except asyncio.IncompleteReadError as exc:
        if not exc.partial:
            return None
        raise WireError("truncated", "the connection closed inside a length prefix") from exc
    (size,) = LENGTH.unpack(prefix)
    if size == 0:
        raise WireError("bad_kind", "empty message: the type byte is missing")
    if size > MAX_MESSAGE_BYTES:
        raise WireError("oversize", f"message of {size} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as exc:
        raise WireError("truncated", f"the connection closed after {len(exc.partial)} of {size} bytes") from exc


async def read_message(reader: asyncio.StreamReader, decode: Callable[[bytes], M]) -> M | None:
    """The next message by ``decode`` (:func:`decode_client` or :func:`decode_server`); ``None`` at end of stream."""
    payload = await read_payload(reader)
    return None if payload is None else decode(payload)


async def write_message(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send one message and wait until the transport has room again."""
    writer.write(encode(message))
    await writer.drain()


async def probe(address: Address, timeout_s: float = 1.0) -> Stats:
    """The server's :class:`Stats` over a short-lived connection (health checks, least-loaded choice).

    Raises:
        OSError: not reachable, no answer within ``timeout_s`` (``TimeoutError`` is one), or it hung up.
        WireError: it answered something else.
    """
    return await ask(address, StatsRequest(), Stats, timeout_s)


async def ask(address: Address, question: ClientMessage, answer: type[M], timeout_s: float) -> M:
    """One question over a connection of its own, and the first message of type ``answer``. Raises as `probe`."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await connect(address)
        try:
            await write_message(writer, question)
            while True:
                message = await read_message(reader, decode_server)
                if message is None:
                    raise ConnectionResetError(f"{address} hung up")
                if isinstance(message, answer):
                    return message
                if isinstance(message, Error | LoadFailed):
                    raise WireError(message.code, message.message)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
