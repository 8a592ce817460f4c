"""Opus for the microphone and the answers of clients that speak it (RFC 6716): one stateful codec a direction.

The rest of the platform hears and makes PCM16LE at 16 kHz, mono; here it becomes packets of 20 ms and comes back. The
codec is FFmpeg's libopus, which PyAV's wheel brings. Measured on one core: 0.2 ms to encode 20 ms, 0.09 ms to decode.
It delays sound by 6.5 ms each way, the look-ahead of libopus; the 20 ms of a packet are the microphone's frame anyway.
"""

from __future__ import annotations

from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.codec import CodecContext

from apps.voice.protocol import FRAME_MS, FRAME_SAMPLES, OPUS_MAX_BYTES, SAMPLE_RATE, UP_PAYLOAD_BYTES

BIT_RATE = 32_000
APPLICATION = "audio"
"""libopus' other choice for speech, `voip`, filters what lies under the voice: as good to the ear, another wave."""
DECODED_RATE = 48_000
"""What FFmpeg's decoder yields, whatever was encoded."""
LOOKAHEAD_SAMPLES = 104
TAPS = 97
"""Of the filter before every third sample is kept: 1 ms of delay, 60 dB less of what would fold down."""
_FRAME_MS_OF_CONFIG = (10, 20, 40, 60) * 3 + (10, 20) * 2 + (2.5, 5, 10, 20) * 4

Floats = npt.NDArray[np.float32]


class OpusError(ValueError):
    """A packet that is not Opus, or not 20 ms of it."""


def available() -> bool:
    """Whether this installation of PyAV has libopus."""
    return "libopus" in av.codecs_available


def packet_ms(packet: bytes) -> float:
    """How long a packet lasts, by its first bytes (RFC 6716, 3.1 and 3.2). Raises :class:`OpusError`."""
    if not 1 <= len(packet) <= OPUS_MAX_BYTES:
        raise OpusError(f"an Opus packet of {len(packet)} bytes; it has 1 to {OPUS_MAX_BYTES}")
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise OpusError("an Opus packet that ends before its frame count")
    frames = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    return frames * _FRAME_MS_OF_CONFIG[packet[0] >> 3]


class OpusDecoder:
    """Packets of one connection to PCM16LE, 16 kHz, mono: 20 ms each."""

    def __init__(self) -> None:
        self._codec = _open("r", sample_rate=DECODED_RATE)
        self._filter = _low_pass()
        self._before: Floats = np.zeros(TAPS - 1, np.float32)

    def decode(self, packet: bytes) -> bytes:
        """The 640 bytes of a packet. A bad one leaves the decoder as it was, ready for the next.

        Raises:
            OpusError: it is not Opus, or not 20 ms.
        """
        if (duration := packet_ms(packet)) != FRAME_MS:
            raise OpusError(f"an Opus packet of {duration:g} ms; it has to be {FRAME_MS} ms")
        try:
            frames = self._codec.decode(av.Packet(packet))
        except (av.FFmpegError, EOFError) as error:
            # FFmpeg reports what libopus refuses as the stream's end; the context takes the next packet all the same.
            raise OpusError("an Opus packet that cannot be decoded") from error
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames] or [np.zeros(0, np.int16)])
        if len(samples) != FRAME_SAMPLES * DECODED_RATE // SAMPLE_RATE:
            raise OpusError(f"an Opus packet of {len(samples)} samples at 48 kHz; it has to be {FRAME_MS} ms")
        return self._every_third(samples.astype(np.float32))

    def _every_third(self, samples: Floats) -> bytes:
        signal = np.concatenate([self._before, samples])
        self._before = signal[len(samples) :]
        windows = np.lib.stride_tricks.sliding_window_view(signal, TAPS)[:: DECODED_RATE // SAMPLE_RATE]
        return np.clip(np.rint(windows @ self._filter), -32_768, 32_767).astype("<i2").tobytes()


class OpusEncoder:
    """PCM16LE at 16 kHz, in pieces of any length, to packets of 20 ms. A new generation begins a new stream."""

    def __init__(self) -> None:
        self._generation = -1
        self._waiting = b""
        self._fresh()

    def waiting_ms(self, generation: int) -> float:
        """Audio of ``generation`` that waits for the rest of its packet."""
        return len(self._waiting) / UP_PAYLOAD_BYTES * FRAME_MS if generation == self._generation else 0.0

    def encode(self, generation: int, pcm: bytes) -> list[bytes]:
        """The packets that ``pcm`` completes."""
        if generation != self._generation:
            self._generation = generation
            self._fresh()
        audio = self._waiting + pcm
        whole = len(audio) - len(audio) % UP_PAYLOAD_BYTES
        self._waiting = audio[whole:]
        return [self._packet(audio[i : i + UP_PAYLOAD_BYTES]) for i in range(0, whole, UP_PAYLOAD_BYTES)]

    def finish(self) -> list[bytes]:
        """What is left of an answer and what the look-ahead holds back, filled up with silence."""
        missing = -(len(self._waiting) // 2 + LOOKAHEAD_SAMPLES) % FRAME_SAMPLES + LOOKAHEAD_SAMPLES
        return self.encode(self._generation, bytes(2 * missing))

    def _fresh(self) -> None:
        options = {"application": APPLICATION, "frame_duration": str(FRAME_MS), "compression_level": "10"}
        self._codec = _open("w", sample_rate=SAMPLE_RATE, options=options)
        self._waiting = b""
        self._at = 0

    def _packet(self, pcm: bytes) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._at
        self._at += FRAME_SAMPLES
        [packet] = self._codec.encode(frame)
        return bytes(packet)


def _open(mode: str, *, sample_rate: int, options: dict[str, str] | None = None) -> AudioCodecContext:
    codec = cast(AudioCodecContext, CodecContext.create("libopus", mode))
    codec.sample_rate = sample_rate
    codec.layout = "mono"
    codec.format = "s16"
    codec.thread_count = 1
    if mode == "w":
        codec.bit_rate = BIT_RATE
    codec.options = options or {}
    codec.open()
    return codec


def _low_pass() -> Floats:
    """Windowed sinc, -6 dB at 7.6 kHz of 48 kHz."""
    at = np.arange(TAPS) - TAPS // 2
    cutoff = 2 * 7_600 / DECODED_RATE
    taps = cutoff * np.sinc(cutoff * at) * np.kaiser(TAPS, 5.6)
    return np.asarray(taps / taps.sum(), np.float32)
