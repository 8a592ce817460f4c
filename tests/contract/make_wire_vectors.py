"""Write ``wire_vectors.json``: the byte table of native protocol v1, made with ``struct`` alone.

It imports nothing of the project on purpose: the table is what both implementations are judged by, so neither may
produce it. Run ``python tests/contract/make_wire_vectors.py`` after a change of the protocol.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

U32 = 0xFFFF_FFFF
TARGET = Path(__file__).with_name("wire_vectors.json")


def ramp(samples: int) -> bytes:
    """A payload whose every sample differs from its neighbours and covers both signs."""
    return struct.pack(f"<{samples}h", *(((i * 2731 + 17) & 0xFFFF) - 32768 for i in range(samples)))


def header(kind: int, seq: int, timestamp_ms: int, generation: int) -> bytes:
    return struct.pack("<BIII", kind, seq, timestamp_ms, generation)


def frame(name: str, direction: str, kind: int, seq: int, ts: int, generation: int, payload: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "direction": direction,
        "kind": kind,
        "seq": seq,
        "timestamp_ms": ts,
        "generation": generation,
        "payload_hex": payload.hex(),
        "frame_hex": (header(kind, seq, ts, generation) + payload).hex(),
    }


def frames() -> list[dict[str, Any]]:
    loud = struct.pack("<320h", *([32767, -32768] * 160))
    return [
        frame("up: first frame of silence", "up", 1, 0, 0, 0, bytes(640)),
        frame("up: byte order of every field", "up", 1, 0x01020304, 0x05060708, 0x090A0B0C, ramp(320)),
        frame("up: largest numbers, full scale", "up", 1, U32, U32, U32, loud),
        frame("down: 20 ms", "down", 2, 0, 0, 0, ramp(320)),
        frame("down: shortest, 5 ms", "down", 2, 7, 140, 3, ramp(80)),
        frame("down: longest, 200 ms", "down", 2, 8, 145, 3, ramp(3200)),
        frame("down: byte order of every field", "down", 2, 0x01020304, 0x05060708, 0x090A0B0C, ramp(160)),
        frame("up: Opus, shortest", "up", 3, 0, 0, 0, b"\x48"),
        frame("up: Opus, longest", "up", 3, 1, 20, U32, b"\x48" * 1275),
        frame("down: Opus", "down", 4, 0x01020304, 0x05060708, 0x090A0B0C, b"\x48" + ramp(40)),
    ]


def invalid_frames() -> list[dict[str, Any]]:
    """``direction`` says who sent it: the receiver of that direction must refuse it with ``error``."""
    up = header(1, 3, 60, 0)
    down = header(2, 3, 60, 0)
    table = [
        ("up", "empty", b"", "bad_frame"),
        ("up", "one byte", b"\x01", "bad_frame"),
        ("up", "header cut short", up[:12], "bad_frame"),
        ("up", "kind zero", header(0, 0, 0, 0) + bytes(640), "bad_frame"),
        ("up", "kind of the other direction", header(2, 0, 0, 0) + bytes(640), "bad_frame"),
        ("up", "Opus without a packet", header(3, 0, 0, 0), "frame_size"),
        ("up", "Opus, longer than any packet", header(3, 0, 0, 0) + bytes(1276), "frame_size"),
        ("up", "Opus of the other direction", header(4, 0, 0, 0) + bytes(80), "bad_frame"),
        ("up", "unknown kind", header(0xFF, 0, 0, 0) + bytes(640), "bad_frame"),
        ("up", "unknown kind wins over a wrong size", header(0x7F, 0, 0, 0) + bytes(3), "bad_frame"),
        ("up", "no payload", up, "frame_size"),
        ("up", "one sample short", up + bytes(638), "frame_size"),
        ("up", "one sample long", up + bytes(642), "frame_size"),
        ("up", "odd number of bytes", up + bytes(639), "frame_size"),
        ("up", "largest frame that is not oversize", up + bytes(8192 - 13), "frame_size"),
        ("up", "oversize", up + bytes(8193 - 13), "oversize"),
        ("down", "header cut short", down[:12], "bad_frame"),
        ("down", "kind of the other direction", header(1, 0, 0, 0) + bytes(640), "bad_frame"),
        ("down", "Opus of the other direction", header(3, 0, 0, 0) + bytes(80), "bad_frame"),
        ("down", "Opus without a packet", header(4, 0, 0, 0), "frame_size"),
        ("down", "Opus, longer than any packet", header(4, 0, 0, 0) + bytes(1276), "frame_size"),
        ("down", "no payload", down, "frame_size"),
        ("down", "not a multiple of 5 ms", down + bytes(170), "frame_size"),
        ("down", "too long", down + bytes(6560), "frame_size"),
    ]
    return [
        {"name": f"{direction}: {name}", "direction": direction, "invalid_hex": data.hex(), "error": error}
        for direction, name, data, error in table
    ]


def text(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


HELLO = {
    "type": "hello",
    "protocol": 1,
    "mode": "reconstruct",
    "turn_taking": "stream",
    "speaker": "lakshmi",
    "emotion": "neutral",
    "quantizers": 8,
    "codecs": ["pcm16"],
    "resume": None,
    "client": "contract test",
}
PLAYED = {"type": "played", "generation": 0, "played_ms": 250, "buffered_ms": 90, "underruns": 0}
CONFIG = {
    "mode": "reconstruct",
    "turn_taking": "stream",
    "speaker": "lakshmi",
    "emotion": None,
    "quantizers": 8,
    "blend": None,
    "mix": "ravi",
    "mix_share": 0.25,
    "pitch_semitones": 0.0,
    "energy_db": -1.5,
    "rate": 1.0,
    "accent": None,
    "intensity": 0.5,
    "keep_audio": "yes",
    "endpoint_min_ms": None,
    "endpoint_max_ms": 800,
}
DIALS = {
    "pitch_semitones": -2.5,
    "energy_db": 3,
    "rate": 1.1,
    "accent": 0.5,
    "intensity": 1,
    "keep_audio": "codes",
    "mix": "ravi",
    "mix_share": 0.25,
    "endpoint_min_ms": 200,
    "endpoint_max_ms": 800,
}
ANSWER = {
    "type": "answer",
    "turn": 0,
    "event": "started",
    "generation": 3,
    "at_ms": 0,
    "reason": "",
    "latency": {},
}
SESSION = "8c5f1a70-3a42-4f0e-9d0b-0d3f6f7f2a11"


def up_messages() -> list[dict[str, Any]]:
    good = [
        ("hello: all fields", text(**HELLO)),
        ("hello: only what is needed", text(type="hello", protocol=1, mode="reconstruct")),
        ("hello: talk", text(**(HELLO | {"mode": "talk", "turn_taking": "turn"}))),
        ("hello: resume", text(**(HELLO | {"resume": "AbC-_123"}))),
        ("hello: Opus offered", text(**(HELLO | {"codecs": ["opus", "pcm16"]}))),
        ("hello: client in Telugu", text(**(HELLO | {"client": "నమస్కారం"}))),
        ("config: one field", text(type="config", quantizers=3)),
        (
            "config: all fields",
            text(type="config", speaker="ravi", emotion="joy", quantizers=1, turn_taking="turn"),
        ),
        ("hello: with dials", text(**(HELLO | DIALS))),
        ("config: dials and mode, at once", text(type="config", mode="talk", now=True, **DIALS)),
        ("config: push to talk", text(type="config", turn_taking="push")),
        ("played", text(**PLAYED)),
        ("interrupt", text(type="interrupt")),
        ("key: press", text(type="key", event="press")),
        ("key: release", text(type="key", event="release")),
        ("forget", text(type="forget")),
        ("ping", text(type="ping", id=1, t=12.5)),
        ("ping: whole number for t, with rtt_ms", text(type="ping", id=2, t=12, rtt_ms=3.25)),
        ("end", text(type="end")),
        ("white space around", ' {"type" : "end"}\n'),
    ]
    bad = [
        ("not JSON", "hello", "bad_json", None),
        ("empty text", "", "bad_json", None),
        ("cut short", '{"type":"end"', "bad_json", None),
        ("NaN is not JSON", '{"type":"ping","id":1,"t":NaN}', "bad_json", None),
        ("single quotes", "{'type':'end'}", "bad_json", None),
        ("two objects", '{"type":"end"}{"type":"end"}', "bad_json", None),
        ("nested deeper than sense", "[" * 5000, "bad_json", None),
        ("an array", "[]", "bad_message", "type"),
        ("a string", '"hello"', "bad_message", "type"),
        ("null", "null", "bad_message", "type"),
        ("no type", "{}", "bad_message", "type"),
        ("unknown type", '{"type":"shout"}', "bad_message", "type"),
        ("type of wrong type", '{"type":1}', "bad_message", "type"),
        ("a server's message", text(type="welcome"), "bad_message", "type"),
        ("hello: no protocol", text(type="hello", mode="reconstruct"), "bad_message", "protocol"),
        ("hello: protocol 2", text(**(HELLO | {"protocol": 2})), "bad_message", "protocol"),
        ("hello: unknown mode", text(**(HELLO | {"mode": "sing"})), "bad_message", "mode"),
        ("hello: quantizers as text", text(**(HELLO | {"quantizers": "8"})), "bad_message", "quantizers"),
        ("hello: quantizers 0", text(**(HELLO | {"quantizers": 0})), "bad_message", "quantizers"),
        ("hello: quantizers 9", text(**(HELLO | {"quantizers": 9})), "bad_message", "quantizers"),
        ("hello: quantizers true", text(**(HELLO | {"quantizers": True})), "bad_message", "quantizers"),
        ("hello: speaker is no slug", text(**(HELLO | {"speaker": "a b"})), "bad_message", "speaker"),
        ("hello: only opus", text(**(HELLO | {"codecs": ["opus"]})), "bad_message", "codecs"),
        ("hello: client too long", text(**(HELLO | {"client": "x" * 201})), "bad_message", "client"),
        ("hello: unknown field", text(**(HELLO | {"voice": "x"})), "bad_message", "voice"),
        ("config: nothing to change", text(type="config"), "bad_message", "config"),
        ("config: unknown turn taking", text(type="config", turn_taking="free"), "bad_message", "turn_taking"),
        ("config: now alone changes nothing", text(type="config", now=True), "bad_message", "config"),
        ("config: rate out of bounds", text(type="config", rate=3), "bad_message", "rate"),
        ("config: keep_audio unknown", text(type="config", keep_audio="some"), "bad_message", "keep_audio"),
        ("config: endpoint too short", text(type="config", endpoint_min_ms=20), "bad_message", "endpoint_min_ms"),
        ("key: unknown event", text(type="key", event="hold"), "bad_message", "event"),
        ("played: negative", text(**(PLAYED | {"played_ms": -1})), "bad_message", "played_ms"),
        ("played: fraction", text(**(PLAYED | {"played_ms": 0.5})), "bad_message", "played_ms"),
        ("played: over u32", text(**(PLAYED | {"generation": U32 + 1})), "bad_message", "generation"),
        ("played: missing", text(type="played", generation=0), "bad_message", "played_ms"),
        ("ping: no id", text(type="ping", t=1), "bad_message", "id"),
        ("ping: t as text", text(type="ping", id=1, t="1"), "bad_message", "t"),
        ("end: with a field", text(type="end", why="done"), "bad_message", "why"),
    ]
    rows: list[dict[str, Any]] = [{"name": n, "direction": "up", "json": j, "valid": True} for n, j in good]
    for name, body, error, field in bad:
        row = {"name": name, "direction": "up", "json": body, "valid": False, "error": error}
        rows.append(row | ({"field": field} if field else {}))
    return rows


def down_messages() -> list[dict[str, Any]]:
    limits = {"frame_samples": 320, "sample_rate": 16000, "max_ahead_ms": 400, "resume_seconds": 60}
    stats = {"bitrate_bps": 16000, "encode_ms": 1.5, "decode_ms": 1.25, "queue_ms": 0.5, "server_ms": 4.0}
    good = [
        (
            "welcome",
            text(
                type="welcome",
                protocol=1,
                session=SESSION,
                resume_token="AbC-_123",
                resumed=False,
                generation=0,
                config=CONFIG,
                limits=limits,
                models={"codec": "hifi@0123456789ab"},
                codecs=["pcm16"],
            ),
        ),
        (
            "welcome: Opus agreed on",
            text(
                type="welcome",
                protocol=1,
                session=SESSION,
                resume_token="AbC-_123",
                resumed=True,
                generation=4,
                config=CONFIG | {"mode": "talk"},
                limits=limits,
                models={"codec": "dialogue@0123456789ab", "s2s": "cpu@0123456789ab"},
                codecs=["pcm16", "opus"],
            ),
        ),
        ("config", text(type="config", config=CONFIG)),
        ("generation", text(type="generation", generation=2, reason="interrupt")),
        ("generation: barge-in", text(type="generation", generation=3, reason="barge_in")),
        ("endpoint", text(type="endpoint", turn=0, start_ms=340, end_ms=2180, waited_ms=300, reason="silence")),
        ("answer started", text(**(ANSWER | {"latency": {"endpoint_ms": 300.0, "server_ms": 4.5}}))),
        ("answer interrupted", text(**(ANSWER | {"event": "interrupted", "at_ms": 860, "reason": "barge_in"}))),
        ("speech started", text(type="speech", event="started", at_ms=340)),
        ("speech stopped", text(type="speech", event="stopped", at_ms=2180)),
        (
            "turn",
            text(
                type="turn",
                id=SESSION,
                index=0,
                role="user",
                duration_ms=2140,
                audio_url=f"/turns/{SESSION}/audio",
                output_url=f"/turns/{SESSION}/output",
                interrupted_at_ms=None,
                speaker=None,
                emotion=None,
                latency={"endpoint_ms": 500.0, "server_ms": 4.5},
            ),
        ),
        (
            "turn of an answer, audio not kept",
            text(
                type="turn",
                id=SESSION,
                index=1,
                role="assistant",
                duration_ms=2140,
                audio_url=None,
                output_url=None,
                interrupted_at_ms=860,
                speaker="priya",
                emotion="happy",
                latency={},
            ),
        ),
        ("caption", text(type="caption", turn=SESSION, text="నేను బాగున్నాను", known=True)),
        ("stats", text(type="stats", **stats, ahead_ms=80.0, lost=0, dropped=0, late=0)),
        ("busy", text(type="busy", retry_after_s=2.0)),
        ("notice", text(type="notice", code="going_away", message="the server restarts")),
        ("error", text(type="error", code="frame_size", message="638 bytes", hint="send 640", fatal=False)),
        ("pong", text(type="pong", id=1, t=12.5)),
    ]
    bad = [
        ("unknown type", text(type="shout"), "bad_message"),
        ("answer: unknown event", text(**(ANSWER | {"event": "sung"})), "bad_message"),
        (
            "endpoint: no turn",
            text(type="endpoint", start_ms=1, end_ms=2, waited_ms=3, reason="silence"),
            "bad_message",
        ),
        ("speech: unknown event", text(type="speech", event="paused", at_ms=1), "bad_message"),
        ("generation: no reason", text(type="generation", generation=1), "bad_message"),
    ]
    rows: list[dict[str, Any]] = [{"name": n, "direction": "down", "json": j, "valid": True} for n, j in good]
    rows += [{"name": n, "direction": "down", "json": j, "valid": False, "error": e} for n, j, e in bad]
    return rows


ERRORS = [
    ("hello_timeout", 4001, True),
    ("bad_json", 4002, False),
    ("bad_message", 4003, False),
    ("bad_frame", 4004, False),
    ("frame_size", 4005, False),
    ("out_of_order", 4006, False),
    ("too_slow", 4008, True),
    ("oversize", 4009, True),
    ("resume_expired", 4010, True),
    ("inference_lost", 4011, True),
    ("going_away", 4012, True),
    ("busy", 4013, True),
    ("ended_by_operator", 4014, True),
    ("hello_first", 4400, True),
    ("login_required", 4401, True),
]


def table() -> dict[str, Any]:
    return {
        "protocol": 1,
        "header_bytes": 13,
        "errors": [{"code": c, "close_code": n, "immediate": i} for c, n, i in ERRORS],
        "frames": frames(),
        "invalid_frames": invalid_frames(),
        "messages": up_messages() + down_messages(),
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(table(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
