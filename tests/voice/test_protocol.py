"""Properties of the wire codec that no finite table covers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.voice import protocol
from apps.voice.protocol import AudioFrame, ErrorCode, FrameKind, ProtocolFault

u32 = st.integers(0, protocol.U32_MAX)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
half_right = st.fixed_dictionaries(
    {"type": st.sampled_from(["hello", "config", "played", "interrupt", "ping", "end"])},
    optional=dict.fromkeys(
        ("protocol", "mode", "quantizers", "speaker", "codecs", "resume", "id", "t", "played_ms", "generation"),
        json_values,
    ),
)


def code_of(text: str) -> ErrorCode | None:
    """The fault's code, or None for a message; anything else that is raised fails the test."""
    try:
        protocol.parse_client_message(text)
    except ProtocolFault as fault:
        return fault.code
    return None


@settings(deadline=None)
@given(seq=u32, timestamp_ms=u32, generation=u32, payload=st.binary(min_size=640, max_size=640))
def test_audio_up_round_trip(seq: int, timestamp_ms: int, generation: int, payload: bytes) -> None:
    frame = AudioFrame(FrameKind.AUDIO_UP, seq, timestamp_ms, generation, payload)
    assert protocol.parse_audio_up(protocol.pack_audio(frame)) == frame


@settings(deadline=None)
@given(seq=u32, timestamp_ms=u32, generation=u32, steps=st.integers(1, 40), fill=st.integers(0, 255))
def test_audio_down_round_trip(seq: int, timestamp_ms: int, generation: int, steps: int, fill: int) -> None:
    frame = AudioFrame(FrameKind.AUDIO_DOWN, seq, timestamp_ms, generation, bytes([fill]) * (160 * steps))
    assert protocol.parse_audio_down(protocol.pack_audio(frame)) == frame


@settings(deadline=None)
@given(st.binary(max_size=1500) | st.binary(min_size=640, max_size=640).map(lambda b: b"\x01" + bytes(12) + b))
def test_any_bytes_are_a_frame_or_a_fault(data: bytes) -> None:
    try:
        frame = protocol.parse_audio_up(data)
    except ProtocolFault as fault:
        code = fault.code
    else:
        assert protocol.pack_audio(frame) == data
        return
    assert code in (ErrorCode.BAD_FRAME, ErrorCode.FRAME_SIZE)


@settings(deadline=None)
@given(json_values | half_right)
def test_any_json_is_a_message_or_a_fault(value: object) -> None:
    assert code_of(json.dumps(value)) in (None, ErrorCode.BAD_JSON, ErrorCode.BAD_MESSAGE)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_message_or_a_fault(text: str) -> None:
    assert code_of(text) in (None, ErrorCode.BAD_JSON, ErrorCode.BAD_MESSAGE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"type":"end"}' + " " * (protocol.MAX_TEXT_BYTES - 14), None),
        ('{"type":"end"}' + " " * (protocol.MAX_TEXT_BYTES - 13), ErrorCode.OVERSIZE),
        ("త" * (protocol.MAX_TEXT_BYTES // 3 + 1), ErrorCode.OVERSIZE),  # bytes count, not characters
    ],
    ids=["at the limit", "one byte over", "fewer characters than the limit, more bytes"],
)
def test_text_limit_counts_bytes(text: str, code: ErrorCode | None) -> None:
    if code is None:
        protocol.parse_client_message(text)
        return
    with pytest.raises(ProtocolFault) as caught:
        protocol.parse_client_message(text)
    assert caught.value.code is code


def test_server_never_packs_an_empty_frame() -> None:
    for kind, payload in ((FrameKind.AUDIO_DOWN, b""), (FrameKind.OPUS_DOWN, b""), (FrameKind.OPUS_DOWN, b"x" * 1276)):
        with pytest.raises(ProtocolFault):
            protocol.pack_audio(AudioFrame(kind, 0, 0, 0, payload))
