"""The framed protocol: what goes in comes out, and nothing a peer sends does more than raise WireError."""

import asyncio
import json
import struct
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serve import wire

U32 = st.integers(0, 2**32 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MODELS = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)


@st.composite
def audio_down(draw: st.DrawFn) -> wire.AudioDown:
    frames, levels = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    codes = draw(st.lists(st.integers(0, 65535), min_size=frames * levels, max_size=frames * levels))
    pcm = draw(st.binary(min_size=160 * frames, max_size=160 * frames))
    numbers = [draw(U32) for _ in range(6)]
    return wire.AudioDown(*numbers, codes=np.array(codes, np.uint16).reshape(levels, frames), pcm=pcm)


@st.composite
def codes(draw: st.DrawFn, levels: int = 8) -> np.ndarray:
    frames = draw(st.integers(0, 8))
    values = draw(st.lists(st.integers(0, 1023), min_size=frames * levels, max_size=frames * levels))
    return np.array(values, np.uint16).reshape(levels, frames)


VOICE = st.builds(
    wire.Voice,
    speakers=st.dictionaries(st.text(max_size=8), st.floats(0, 1), max_size=4),
    emotion=st.text(max_size=64),
    intensity=st.floats(0, 1),
    pitch_semitones=st.floats(-24, 24),
    energy_db=st.floats(-24, 24),
    rate=st.floats(0.25, 4),
    accent=st.floats(0, 1),
)
TALK = {
    "voice": st.none() | VOICE,
    "turn_taking": st.none() | st.sampled_from(["stream", "turn", "push"]),
    "endpoint_min_ms": st.none() | st.integers(1, 60_000),
    "endpoint_max_ms": st.none() | st.integers(1, 60_000),
}
CLIENT = st.one_of(
    st.builds(
        wire.Open,
        mode=st.sampled_from(["reconstruct", "talk"]),
        preset=st.text(max_size=64),
        quantizers=st.integers(1, 8),
        seed=st.none() | U32,
        **TALK,
    ),
    st.builds(
        wire.Set,
        quantizers=st.none() | st.integers(1, 8),
        generation=st.none() | U32,
        heard_ms=st.none() | U32,
        now=st.booleans(),
        **TALK,
    ),
    st.builds(wire.Key, st.sampled_from(["press", "release", "reply"])),
    st.builds(
        wire.Listen, st.none() | st.floats(0, 1), st.none() | st.integers(0, 60_000), st.booleans(), st.booleans()
    ),
    st.just(wire.Forget()),
    st.builds(wire.History, codes(), codes(), st.none() | U32),
    st.builds(wire.Load, st.sampled_from(["codec", "s2s"]), *[st.text(max_size=64)] * 3),
    st.builds(wire.Ping, id=U32),
    st.just(wire.StatsRequest()),
    st.just(wire.Close()),
    st.builds(wire.AudioUp, U32, U32, U32, st.binary(min_size=640, max_size=640)),
)
SERVER = st.one_of(
    st.builds(wire.Opened, U32, st.integers(1, 64), *[st.integers(1, 48_000)] * 3, FINITE, MODELS),
    st.builds(wire.Busy, FINITE),
    st.builds(wire.Speech, st.sampled_from(["started", "stopped"]), U32),
    st.builds(wire.Stats, U32, U32, U32, U32, U32, FINITE, FINITE, U32, FINITE, MODELS, st.booleans()),
    st.just(wire.Draining()),
    st.builds(wire.Error, st.text(max_size=64), st.text(max_size=200)),
    st.builds(wire.Pong, U32),
    audio_down(),
    st.builds(wire.Endpoint, *[U32] * 4, st.text(max_size=64), FINITE, st.sampled_from(get_args(wire.Answered))),
    st.builds(
        wire.Answer,
        U32,
        st.sampled_from(["started", "ended", "interrupted", "resumed"]),
        U32,
        st.text(max_size=64),
        st.dictionaries(st.text(max_size=8), FINITE, max_size=3),
        st.none() | U32,
    ),
    st.builds(wire.TurnCodes, U32, codes()),
    st.builds(wire.Loaded, st.text(max_size=64), MODELS),
    st.builds(wire.LoadFailed, st.text(max_size=64), st.text(max_size=64)),
)


def _payload(message: wire.Message) -> bytes:
    data = wire.encode(message)
    assert struct.unpack("<I", data[:4])[0] == len(data) - 4
    return data[4:]


@given(CLIENT)
def test_client_messages_survive_the_wire(message: wire.ClientMessage) -> None:
    assert wire.decode_client(_payload(message)) == message


@given(SERVER)
def test_server_messages_survive_the_wire(message: wire.ServerMessage) -> None:
    assert wire.decode_server(_payload(message)) == message


def test_the_bytes_of_an_audio_frame_are_fixed() -> None:
    pcm = bytes(range(128)) * 5
    assert wire.encode(wire.AudioUp(1, 20, 3, pcm)) == bytes.fromhex("8d02000002010000001400000003000000") + pcm
    down = wire.AudioDown(1, 20, 3, 4, 5, 6, np.array([[258]], np.uint16), b"\x01\x02")
    assert wire.encode(down) == bytes.fromhex(
        "21000000030100000014000000030000000400000005000000060000000100010002010102"
    )


@given(st.binary(max_size=2000))
def test_garbage_raises_wire_error_only(data: bytes) -> None:
    for decode in (wire.decode_client, wire.decode_server):
        try:
            decode(data)
        except wire.WireError:
            pass


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["protocol", "mode", "preset", "quantizers", "generation", "id", "slot", "event", "at_ms", "models", "active"]
)
_TYPES = st.sampled_from(["open", "set", "ping", "stats", "close", "opened", "busy", "speech", "error", "pong"])


@given(_TYPES | _VALUES, st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_json_of_wrong_types_raises_wire_error_only(kind: object, fields: dict[str, object]) -> None:
    payload = b"\x01" + json.dumps({**fields, "type": kind}).encode()
    for decode in (wire.decode_client, wire.decode_server):
        try:
            decode(payload)
        except wire.WireError:
            pass


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("{", "bad_json", "JSON"),
        ("[" * 100_000, "bad_json", "JSON"),
        ("[1]", "bad_message", "object"),
        ('{"type": 3}', "bad_message", "'type'"),
        ('{"type": "dance"}', "bad_message", "dance"),
        ('{"type": "open", "protocol": 2}', "protocol", "2"),
        ('{"type": "open", "protocol": 1, "mode": "sing", "preset": "hifi", "quantizers": 8}', "bad_message", "'mode'"),
        ('{"type": "open", "protocol": 1, "mode": "talk", "preset": "hifi"}', "bad_message", "'quantizers'"),
        ('{"type": "set", "quantizers": 9}', "bad_message", "'quantizers'"),
        ('{"type": "set", "quantizers": true}', "bad_message", "'quantizers'"),
        ('{"type": "set", "generation": -1}', "bad_message", "'generation'"),
        ('{"type": "ping", "id": 1e400}', "bad_message", "'id'"),
        ('{"type": "ping", "id": NaN}', "bad_json", "NaN"),
    ],
)
def test_a_bad_json_message_is_named(text: str, code: str, named: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode_client(b"\x01" + text.encode())
    assert caught.value.code == code
    assert named in str(caught.value)


def test_frames_of_a_wrong_size_are_refused_both_ways() -> None:
    with pytest.raises(wire.WireError, match="640"):
        wire.encode(wire.AudioUp(0, 0, 0, b"\0" * 638))
    with pytest.raises(wire.WireError, match="652"):
        wire.decode_client(b"\x02" + b"\0" * 650)
    with pytest.raises(wire.WireError, match="codes and PCM"):
        wire.decode_server(b"\x03" + b"\0" * 24 + b"\x04\0\x08\0" + b"\0" * 10)
    with pytest.raises(wire.WireError, match="out of range"):
        wire.encode(wire.AudioUp(2**32, 0, 0, b"\0" * 640))
    with pytest.raises(wire.WireError) as caught:
        wire.encode(wire.Error("x", "y" * wire.MAX_MESSAGE_BYTES))
    assert caught.value.code == "oversize"


async def _read(data: bytes) -> bytes | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await wire.read_payload(reader)


async def test_reading_checks_the_length_before_the_body() -> None:
    assert await _read(b"") is None
    assert await _read(b"\x02\0\0\0\x01{") == b"\x01{"
    for data, code in (
        (struct.pack("<I", wire.MAX_MESSAGE_BYTES + 1), "oversize"),
        (b"\0\0\0\0", "bad_kind"),
        (b"\x05\0", "truncated"),
        (b"\x05\0\0\0\x01{", "truncated"),
    ):
        with pytest.raises(wire.WireError) as caught:
            await _read(data)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/a b#c?.sock", wire.Address(path="/run/a b#c?.sock")),
        ("tcp://localhost:9000", wire.Address(host="localhost", port=9000)),
        ("tcp://[::1]:9000", wire.Address(host="::1", port=9000)),
    ],
)
def test_addresses_parse_and_print(text: str, address: wire.Address) -> None:
    assert wire.parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "unix://relative.sock", "unix:///", "/a.sock", "tcp://host", "tcp://:1", "tcp://h:99999", "http://h:1"]
)
def test_a_bad_address_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(wire.WireError, match=r"unix:///absolute/path.sock or tcp://host:port"):
        wire.parse_address(text)


def test_a_socket_path_that_the_system_cannot_hold_is_refused() -> None:
    with pytest.raises(wire.WireError, match="too long"):
        wire.parse_address("unix:///" + "a" * 120)
