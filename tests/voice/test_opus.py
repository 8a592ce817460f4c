"""Opus of the live socket: what goes in comes out, in fewer bytes, and nothing that a stranger sends breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.voice.intake import Intake
from apps.voice.opus import OpusDecoder, OpusEncoder, OpusError, packet_ms
from apps.voice.outlet import OpusOutlet, PcmOutlet, outlet_for
from apps.voice.protocol import AudioFrame, ErrorCode, FrameKind, ProtocolFault

RATE = 16_000
DELAY = 104 + 16
"""Samples: libopus looks 6.5 ms ahead, the filter before decimation adds 1 ms."""


def vowel(seconds: float) -> np.ndarray:
    """A voice that glides, with harmonics as speech has them."""
    at = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (140 * at + 15 * at**2)
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    return np.asarray(4_000 * tones * (0.6 + 0.4 * np.sin(9 * at))).astype("<i2")


def decoded(packets: list[bytes]) -> np.ndarray:
    decoder = OpusDecoder()
    return np.frombuffer(b"".join(decoder.decode(packet) for packet in packets), "<i2").astype(float)


def test_a_voice_survives_in_a_fifth_of_the_bytes() -> None:
    said = vowel(2.0)
    encoder = OpusEncoder()
    packets = encoder.encode(0, said.tobytes()) + encoder.finish()
    heard = decoded(packets)
    assert len(heard) >= len(said) + DELAY - 16, "the end is not held back"
    assert np.corrcoef(said[RATE // 4 :], heard[DELAY + RATE // 4 :][: len(said) - RATE // 4])[0, 1] > 0.97
    assert sum(map(len, packets)) < 2 * len(said) / 5
    assert {packet_ms(packet) for packet in packets} == {20.0}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 80), min_size=1, max_size=12))
def test_pieces_of_any_length_make_the_same_packets(steps: list[int]) -> None:
    pcm = vowel(sum(steps) * 0.005).tobytes()
    at_once, in_pieces = OpusEncoder(), OpusEncoder()
    expected = at_once.encode(3, pcm)
    made, at = [], 0
    for step in steps:
        made += in_pieces.encode(3, pcm[at : at + 160 * step])
        at += 160 * step
    assert made == expected
    assert in_pieces.waiting_ms(3) == len(pcm) / 32 % 20
    assert len(expected + at_once.finish()) * 20 >= len(pcm) / 32 + 6.5


def test_a_new_generation_is_a_new_stream() -> None:
    said = vowel(0.3).tobytes()
    encoder = OpusEncoder()
    first = encoder.encode(1, said)
    encoder.encode(1, said[:1000])
    assert encoder.encode(2, said) == first
    assert encoder.waiting_ms(1) == 0


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=1400) | st.binary(min_size=1, max_size=200).map(lambda b: bytes([0x48 | (b[0] & 3)]) + b))
def test_any_bytes_are_20_ms_or_a_fault(data: bytes) -> None:
    [good] = OpusEncoder().encode(0, bytes(640))
    decoder = OpusDecoder()
    decoder.decode(good)
    try:
        pcm = decoder.decode(data)
    except OpusError:
        pcm = bytes(640)
    assert len(pcm) == 640
    assert len(decoder.decode(good)) == 640, "and the next packet is heard"


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"", "0 bytes"),
        (bytes(1276), "1276 bytes"),
        (b"\x40" + bytes(20), "10 ms"),  # SILK, wide band, one frame of 10 ms
        (b"\x4b", "ends before its frame count"),
        (b"\x49" + bytes(40), "40 ms"),  # two frames of 20 ms
        (b"\x4b\x3f" + bytes(40), "1260 ms"),
        (b"\x4b\x01", None),
    ],
    ids=["empty", "too long", "10 ms", "cut short", "two frames", "sixty-three frames", "one frame, no bytes"],
)
def test_what_is_wrong_is_said(packet: bytes, words: str | None) -> None:
    intake = Intake()
    intake.agree(["pcm16", "opus"])
    if words is None:  # a lost packet by definition: concealed
        assert len(intake.take(AudioFrame(FrameKind.OPUS_UP, 0, 0, 0, packet))) == 640
        return
    with pytest.raises(ProtocolFault, match=words) as caught:
        intake.take(AudioFrame(FrameKind.OPUS_UP, 0, 0, 0, packet))
    assert caught.value.code is ErrorCode.BAD_FRAME
    assert "20 ms" in caught.value.hint


def test_frames_are_counted_whatever_they_travel_as() -> None:
    intake = Intake()
    [packet] = OpusEncoder().encode(0, vowel(0.02).tobytes())
    with pytest.raises(ProtocolFault, match="not agreed on"):
        intake.take(AudioFrame(FrameKind.OPUS_UP, 0, 0, 0, packet))
    intake.agree(["pcm16", "opus"])
    assert len(intake.take(AudioFrame(FrameKind.OPUS_UP, 0, 0, 0, packet))) == 640
    assert intake.take(AudioFrame(FrameKind.AUDIO_UP, 3, 60, 0, b"ab" * 320)) == b"ab" * 320
    assert intake.lost == 2
    with pytest.raises(ProtocolFault) as caught:
        intake.take(AudioFrame(FrameKind.OPUS_UP, 3, 60, 0, packet))
    assert caught.value.code is ErrorCode.OUT_OF_ORDER


def test_ones_own_voice_is_never_opus() -> None:
    assert isinstance(outlet_for(["pcm16", "opus"], talk=True), OpusOutlet)
    assert isinstance(outlet_for(["pcm16", "opus"], talk=False), PcmOutlet)
    assert isinstance(outlet_for(["pcm16"], talk=True), PcmOutlet)
    assert PcmOutlet().pieces(0, bytes(1280)) == [(bytes(1280), 40)]
    assert PcmOutlet().pieces(0, b"") == []
