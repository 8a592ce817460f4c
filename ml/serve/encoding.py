"""Messages of the inference protocol v1 to bytes and back. No I/O; see :mod:`ml.serve.wire` for the layout in words."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict

import numpy as np

from ml.serve.fields import JsonObject
from ml.serve.lab_encoding import LAB_CLIENT, LAB_SERVER, piece_body, piece_of, up_body, up_of
from ml.serve.lab_messages import LabPiece, LabUp
from ml.serve.messages import (
    FRAME_BYTES,
    MAX_QUANTIZERS,
    PROTOCOL_VERSION,
    AudioDown,
    AudioUp,
    Busy,
    ClientMessage,
    Close,
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
from ml.serve.talk_decoding import TALK_CLIENT, TALK_SERVER, optional_voice, turn_taking
from ml.serve.talk_messages import Codes, History, TurnCodes

MAX_MESSAGE_BYTES = 256 * 1024

KIND_JSON = 0x01
KIND_AUDIO_UP = 0x02
KIND_AUDIO_DOWN = 0x03
KIND_TURN_CODES = 0x04
KIND_HISTORY = 0x05
KIND_LAB_UP = 0x06
KIND_LAB_PIECE = 0x07

LENGTH = struct.Struct("<I")
_AUDIO_UP = struct.Struct("<III")
_AUDIO_DOWN = struct.Struct("<IIIIIIHH")
_TURN_CODES = struct.Struct("<IHH")
_HISTORY = struct.Struct("<HHH")
_PLAN = struct.Struct("<I")
_U32_MAX = 2**32 - 1


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
            levels, frames = _shape(message.codes)
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
            return _frame(KIND_AUDIO_DOWN, head + _codes_bytes(message.codes) + message.pcm)
        case TurnCodes():
            levels, frames = _shape(message.codes)
            return _frame(
                KIND_TURN_CODES, _pack(_TURN_CODES, message.turn, levels, frames) + _codes_bytes(message.codes)
            )
        case History():
            levels, asked = _shape(message.question)
            same, answered = _shape(message.answer)
            if same != levels:
                raise WireError("frame_size", f"question has {levels} levels of codes, answer {same}")
            body = _pack(_HISTORY, levels, asked, answered)
            body += _codes_bytes(message.question) + _codes_bytes(message.answer)
            return _frame(KIND_HISTORY, body if message.plan is None else body + _pack(_PLAN, message.plan))
        case LabUp():
            return _frame(KIND_LAB_UP, up_body(message))
        case LabPiece():
            return _frame(KIND_LAB_PIECE, piece_body(message))
        case _:
            values = {key: value for key, value in asdict(message).items() if value is not None}
            text = json.dumps({"type": message.type, **values}, ensure_ascii=False, allow_nan=False)
            return _frame(KIND_JSON, text.encode())


def _shape(codes: Codes) -> tuple[int, int]:
    if codes.ndim != 2:
        raise WireError("frame_size", f"codes need shape [levels, frames], got {codes.shape}")
    return codes.shape


def _codes_bytes(codes: Codes) -> bytes:
    return np.ascontiguousarray(codes, dtype="<u2").tobytes()


def _pack(layout: struct.Struct, *values: int) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as exc:
        raise WireError("bad_field", f"a header field is out of range: {exc}") from exc


def _frame(kind: int, body: bytes) -> bytes:
    size = len(body) + 1
    if size > MAX_MESSAGE_BYTES:
        raise WireError("oversize", f"message of {size} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return LENGTH.pack(size) + bytes([kind]) + body


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
    if kind == KIND_HISTORY:
        return _decode_history(body)
    if kind == KIND_LAB_UP:
        return up_of(body)
    if kind != KIND_JSON:
        raise WireError("bad_kind", f"message type 0x{kind:02x} is not one a client may send")
    obj = JsonObject.parse(body)
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
                voice=optional_voice(obj),
                turn_taking=turn_taking(obj),
                endpoint_min_ms=obj.optional_integer("endpoint_min_ms", 1, 60_000),
                endpoint_max_ms=obj.optional_integer("endpoint_max_ms", 1, 60_000),
                seed=obj.optional_integer("seed", 0, 2**53),
            )
        case "set":
            return Set(
                quantizers=obj.optional_integer("quantizers", 1, MAX_QUANTIZERS),
                generation=obj.optional_integer("generation", 0, _U32_MAX),
                heard_ms=obj.optional_integer("heard_ms", 0, _U32_MAX),
                voice=optional_voice(obj),
                now=obj.boolean("now") if obj.has("now") else False,
                turn_taking=turn_taking(obj),
                endpoint_min_ms=obj.optional_integer("endpoint_min_ms", 1, 60_000),
                endpoint_max_ms=obj.optional_integer("endpoint_max_ms", 1, 60_000),
            )
        case "ping":
            return Ping(id=obj.integer("id", 0, 2**53))
        case "stats":
            return StatsRequest()
        case "close":
            return Close()
        case other if other in LAB_CLIENT:
            return LAB_CLIENT[other](obj)
        case other if other in TALK_CLIENT:
            return TALK_CLIENT[other](obj)
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
    if kind == KIND_TURN_CODES:
        return _decode_turn_codes(body)
    if kind == KIND_LAB_PIECE:
        return piece_of(body)
    if kind != KIND_JSON:
        raise WireError("bad_kind", f"message type 0x{kind:02x} is not one a server may send")
    obj = JsonObject.parse(body)
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
        case other if other in LAB_SERVER:
            return LAB_SERVER[other](obj)
        case other if other in TALK_SERVER:
            return TALK_SERVER[other](obj)
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
    codes = _codes(body, start, levels, frames)
    return AudioDown(seq, timestamp_ms, generation, queue_us, encode_us, decode_us, codes, pcm)


def _decode_turn_codes(body: memoryview) -> TurnCodes:
    if len(body) < _TURN_CODES.size:
        raise WireError("frame_size", f"codes of a turn need a header of {_TURN_CODES.size} bytes, got {len(body)}")
    turn, levels, frames = _TURN_CODES.unpack_from(body)
    if len(body) != _TURN_CODES.size + 2 * levels * frames:
        raise WireError("frame_size", f"codes of a turn of {len(body)} bytes do not hold {levels} x {frames} codes")
    return TurnCodes(turn, _codes(body, _TURN_CODES.size, levels, frames))


def _decode_history(body: memoryview) -> History:
    if len(body) < _HISTORY.size:
        raise WireError("frame_size", f"history needs a header of {_HISTORY.size} bytes, got {len(body)}")
    levels, asked, answered = _HISTORY.unpack_from(body)
    end = _HISTORY.size + 2 * levels * (asked + answered)
    if len(body) not in (end, end + _PLAN.size) or not 1 <= levels <= MAX_QUANTIZERS:
        raise WireError(
            "frame_size", f"history of {len(body)} bytes does not hold {levels} x ({asked} + {answered}) codes"
        )
    start = _HISTORY.size
    question = _codes(body, start, levels, asked)
    answer = _codes(body, start + question.nbytes, levels, answered)
    return History(question, answer, _PLAN.unpack_from(body, end)[0] if len(body) > end else None)


def _codes(body: memoryview, start: int, levels: int, frames: int) -> Codes:
    return (
        np.frombuffer(body[start : start + 2 * levels * frames], dtype="<u2").reshape(levels, frames).astype(np.uint16)
    )
