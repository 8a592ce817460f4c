"""Inference protocol v1: the framed stream between a web process and an inference server.

One connection per live session, over a unix socket or TCP. A message is a little-endian ``u32`` length of what
follows (type byte and body, at most :data:`MAX_MESSAGE_BYTES`), a ``u8`` type and a body:

* ``0x01`` a UTF-8 JSON object with a ``type`` member (control),
* ``0x02`` audio up: ``u32 seq, u32 timestamp_ms, u32 generation`` and 320 samples PCM16LE at 16 kHz (20 ms),
* ``0x03`` audio down: ``u32 seq, u32 timestamp_ms, u32 generation, u32 queue_us, u32 encode_us, u32 decode_us,
  u16 frames, u16 levels``, then codes ``u16`` [levels x frames] and PCM16LE [frames x hop].

This module knows neither torch nor Django, so that both sides share one definition.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from ml.serve.address import Address, connect, parse_address
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
    Codes,
    Draining,
    Error,
    Message,
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

__all__ = [
    "FRAME_BYTES",
    "FRAME_MS",
    "FRAME_SAMPLES",
    "MAX_MESSAGE_BYTES",
    "MAX_QUANTIZERS",
    "PROTOCOL_VERSION",
    "SAMPLE_RATE",
    "Address",
    "AudioDown",
    "AudioUp",
    "Busy",
    "ClientMessage",
    "Close",
    "Codes",
    "Draining",
    "Error",
    "Message",
    "Open",
    "Opened",
    "Ping",
    "Pong",
    "ServerMessage",
    "Set",
    "Speech",
    "Stats",
    "StatsRequest",
    "WireError",
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

MAX_MESSAGE_BYTES = 256 * 1024

KIND_JSON = 0x01
KIND_AUDIO_UP = 0x02
KIND_AUDIO_DOWN = 0x03

_LENGTH = struct.Struct("<I")
_AUDIO_UP = struct.Struct("<III")
_AUDIO_DOWN = struct.Struct("<IIIIIIHH")
_U32_MAX = 2**32 - 1

M = TypeVar("M")


# ------------------------------------------------------------------------------------------------------ encoding


def encode(message: Message) -> bytes:
    """The message as it goes on the wire, length prefix included.

    Raises:
        WireError: a field does not fit its place in the message, or the message is over the size limit.
    """
    match message:
        case AudioUp():
            body = _pack(_AUDIO_UP, message.seq, message.timestamp_ms, message.generation) + message.pcm
            if len(message.pcm) != FRAME_BYTES:
                raise WireError("frame_size", f"audio up needs {FRAME_BYTES} bytes of PCM16, got {len(message.pcm)}")
            return _frame(KIND_AUDIO_UP, body)
        case AudioDown():
            if message.codes.ndim != 2:
                raise WireError("frame_size", f"codes need shape [levels, frames], got {message.codes.shape}")
            levels, frames = message.codes.shape
            head = _pack(
                _AUDIO_DOWN,
                message.seq,
                message.timestamp_ms,
                message.generation,
                min(message.queue_us, _U32_MAX),
                min(message.encode_us, _U32_MAX),
                min(message.decode_us, _U32_MAX),
                frames,
                levels,
            )
            codes = np.ascontiguousarray(message.codes, dtype="<u2").tobytes()
            return _frame(KIND_AUDIO_DOWN, head + codes + message.pcm)
        case _:
            values = {key: value for key, value in asdict(message).items() if value is not None}
            text = json.dumps({"type": message.type, **values}, ensure_ascii=False, allow_nan=False)
            return _frame(KIND_JSON, text.encode())


def _pack(layout: struct.Struct, *values: int) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as exc:
        raise WireError("bad_field", f"a header field is out of range: {exc}") from exc


def _frame(kind: int, body: bytes) -> bytes:
    size = len(body) + 1
    if size > MAX_MESSAGE_BYTES:
        raise WireError("oversize", f"message of {size} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return _LENGTH.pack(size) + bytes([kind]) + body


# ------------------------------------------------------------------------------------------------------ decoding


def decode_client(payload: bytes) -> ClientMessage:
    """A message of a client from ``payload`` (type byte and body, without the length prefix).

    Raises:
        WireError: unknown type, wrong size, or a JSON field that is missing or of the wrong type (it is named).
    """
    kind, body = _split(payload)
    if kind == KIND_AUDIO_UP:
        if len(body) != _AUDIO_UP.size + FRAME_BYTES:
            raise WireError(
                "frame_size", f"audio up needs {_AUDIO_UP.size + FRAME_BYTES} bytes after the type, got {len(body)}"
            )
        seq, timestamp_ms, generation = _AUDIO_UP.unpack_from(body)
        return AudioUp(seq, timestamp_ms, generation, bytes(body[_AUDIO_UP.size :]))
    if kind != KIND_JSON:
        raise WireError("bad_kind", f"message type 0x{kind:02x} is not one a client may send")
    obj = _Object.parse(body)
    match obj.kind:
        case "open":
            protocol = obj.integer("protocol", 1, _U32_MAX)
            if protocol != PROTOCOL_VERSION:
                raise WireError("protocol", f"protocol {protocol} is not spoken here, use {PROTOCOL_VERSION}")
            mode = obj.choice("mode", ("reconstruct", "talk"))
            return Open(
                mode="talk" if mode == "talk" else "reconstruct",
                preset=obj.text("preset", 64),
                quantizers=obj.integer("quantizers", 1, MAX_QUANTIZERS),
                protocol=protocol,
            )
        case "set":
            return Set(
                quantizers=obj.integer("quantizers", 1, MAX_QUANTIZERS) if obj.has("quantizers") else None,
                generation=obj.integer("generation", 0, _U32_MAX) if obj.has("generation") else None,
            )
        case "ping":
            return Ping(id=obj.integer("id", 0, 2**53))
        case "stats":
            return StatsRequest()
        case "close":
            return Close()
        case other:
            raise WireError("bad_message", f"unknown message type {other!r}")


def decode_server(payload: bytes) -> ServerMessage:
    """A message of the server from ``payload`` (type byte and body, without the length prefix).

    Raises:
        WireError: as :func:`decode_client`.
    """
    kind, body = _split(payload)
    if kind == KIND_AUDIO_DOWN:
        return _decode_audio_down(body)
    if kind != KIND_JSON:
        raise WireError("bad_kind", f"message type 0x{kind:02x} is not one a server may send")
    obj = _Object.parse(body)
    match obj.kind:
        case "opened":
            return Opened(
                slot=obj.integer("slot", 0, _U32_MAX),
                capacity=obj.integer("capacity", 1, _U32_MAX),
                sample_rate=obj.integer("sample_rate", 1, _U32_MAX),
                hop=obj.integer("hop", 1, _U32_MAX),
                frame_samples=obj.integer("frame_samples", 1, _U32_MAX),
                delay_ms=obj.number("delay_ms"),
                models=obj.mapping("models"),
            )
        case "busy":
            return Busy(retry_after_s=obj.number("retry_after_s"))
        case "speech":
            event = obj.choice("event", ("started", "stopped"))
            return Speech(event="started" if event == "started" else "stopped", at_ms=obj.integer("at_ms", 0, _U32_MAX))
        case "stats":
            return Stats(
                **{key: obj.integer(key, 0, 2**53) for key in ("active", "capacity", "free", "late_ticks", "ticks")},
                dropped=obj.integer("dropped", 0, 2**53),
                tick_ms_p50=obj.number("tick_ms_p50"),
                tick_ms_p95=obj.number("tick_ms_p95"),
                uptime_s=obj.number("uptime_s"),
                models=obj.mapping("models"),
                draining=obj.boolean("draining") if obj.has("draining") else False,
            )
        case "draining":
            return Draining()
        case "error":
            return Error(code=obj.text("code", 64), message=obj.text("message", 4096))
        case "pong":
            return Pong(id=obj.integer("id", 0, 2**53))
        case other:
            raise WireError("bad_message", f"unknown message type {other!r}")


def _split(payload: bytes) -> tuple[int, memoryview]:
    if not payload:
        raise WireError("bad_kind", "empty message: the type byte is missing")
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError("oversize", f"message of {len(payload)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return payload[0], memoryview(payload)[1:]


def _decode_audio_down(body: memoryview) -> AudioDown:
    if len(body) < _AUDIO_DOWN.size:
        raise WireError("frame_size", f"audio down needs a header of {_AUDIO_DOWN.size} bytes, got {len(body)}")
    seq, timestamp_ms, generation, queue_us, encode_us, decode_us, frames, levels = _AUDIO_DOWN.unpack_from(body)
    start = _AUDIO_DOWN.size
    end = start + 2 * frames * levels
    pcm = bytes(body[end:])
    if len(body) < end or (len(pcm) % (2 * frames) if frames else pcm):
        raise WireError(
            "frame_size", f"audio down of {len(body)} bytes does not hold {levels} x {frames} codes and PCM"
        )
    codes = np.frombuffer(body[start:end], dtype="<u2").reshape(levels, frames).astype(np.uint16)
    return AudioDown(seq, timestamp_ms, generation, queue_us, encode_us, decode_us, codes, pcm)


class _Object:
    """A JSON object whose members are read by name and type; every failure names the member."""

    __slots__ = ("_values", "kind")

    def __init__(self, values: dict[str, Any], kind: str) -> None:
        self._values = values
        self.kind = kind

    @classmethod
    def parse(cls, body: memoryview) -> _Object:
        try:
            values = json.loads(bytes(body).decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            raise WireError("bad_json", f"not valid JSON in UTF-8: {exc}") from exc
        if not isinstance(values, dict):
            raise WireError("bad_message", f"a JSON object is needed, got {type(values).__name__}")
        kind = values.get("type")
        if not isinstance(kind, str):
            raise WireError("bad_message", "field 'type' must be a string")
        return cls(values, kind)

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def _get(self, name: str, wanted: str) -> Any:
        if name not in self._values:
            raise WireError("bad_message", f"field '{name}' of '{self.kind}' is missing, {wanted} is needed")
        return self._values[name]

    def _bad(self, name: str, wanted: str) -> WireError:
        return WireError("bad_message", f"field '{name}' of '{self.kind}' must be {wanted}")

    def integer(self, name: str, low: int, high: int) -> int:
        wanted = f"an integer from {low} to {high}"
        value = self._get(name, wanted)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._bad(name, wanted)
        return value

    def number(self, name: str) -> float:
        value = self._get(name, "a number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._bad(name, "a number")
        try:
            number = float(value)
        except OverflowError:
            raise self._bad(name, "a number of ordinary size") from None
        if not abs(number) < float("inf"):
            raise self._bad(name, "a finite number")
        return number

    def boolean(self, name: str) -> bool:
        value = self._get(name, "true or false")
        if not isinstance(value, bool):
            raise self._bad(name, "true or false")
        return value

    def text(self, name: str, limit: int) -> str:
        wanted = f"a string of at most {limit} characters"
        value = self._get(name, wanted)
        if not isinstance(value, str) or len(value) > limit:
            raise self._bad(name, wanted)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        wanted = "one of " + ", ".join(choices)
        value = self._get(name, wanted)
        if not isinstance(value, str) or value not in choices:
            raise self._bad(name, wanted)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._get(name, "an object")
        if not isinstance(value, dict):
            raise self._bad(name, "an object")
        return value


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


# ------------------------------------------------------------------------------------------------------- streams


async def read_payload(reader: asyncio.StreamReader) -> bytes | None:
    """The next message without its length prefix; ``None`` when the peer closed between two messages.

    The length is checked before a byte of the body is read, so that a bad prefix costs no memory.

    Raises:
        WireError: length of zero or over the limit, or the peer closed inside a message.
    """
    try:
        prefix = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError as exc:
        if not exc.partial:
            return None
        raise WireError("truncated", "the connection closed inside a length prefix") from exc
    (size,) = _LENGTH.unpack(prefix)
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
    async with asyncio.timeout(timeout_s):
        reader, writer = await connect(address)
        try:
            await write_message(writer, StatsRequest())
            while True:
                message = await read_message(reader, decode_server)
                if message is None:
                    raise ConnectionResetError(f"{address} hung up")
                if isinstance(message, Stats):
                    return message
                if isinstance(message, Error):
                    raise WireError(message.code, message.message)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
