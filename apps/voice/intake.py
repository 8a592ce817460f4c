"""Microphone frames as they come in on one connection: checked, counted, and PCM16 whatever they travelled as."""

from __future__ import annotations

from collections.abc import Sequence

from apps.voice.opus import OpusDecoder, OpusError
from apps.voice.protocol import AudioFrame, Codec, ErrorCode, FrameKind, ProtocolFault


class Intake:
    """The frames of one connection, in order."""

    def __init__(self) -> None:
        self.lost = 0
        """Gaps in the client's numbers, in frames."""
        self._last_seq = -1
        self._opus: OpusDecoder | None = None

    def agree(self, codecs: Sequence[Codec]) -> None:
        """From now on the client may send what is in ``codecs``."""
        self._opus = OpusDecoder() if "opus" in codecs else None

    def take(self, frame: AudioFrame) -> bytes:
        """The frame's 20 ms as PCM16LE, 16 kHz.

        Raises:
            ProtocolFault: out of order; Opus that was not agreed on, or that cannot be decoded.
        """
        if frame.seq <= self._last_seq:
            raise ProtocolFault(
                ErrorCode.OUT_OF_ORDER, f"seq {frame.seq} after {self._last_seq}", "count frames upwards from 0"
            )
        pcm = self._decoded(frame.payload) if frame.kind is FrameKind.OPUS_UP else frame.payload
        self.lost += frame.seq - self._last_seq - 1
        self._last_seq = frame.seq
        return pcm

    def _decoded(self, packet: bytes) -> bytes:
        if self._opus is None:
            raise ProtocolFault(
                ErrorCode.BAD_FRAME, "Opus was not agreed on", "send audio_up, or offer opus in hello's codecs"
            )
        try:
            return self._opus.decode(packet)
        except OpusError as error:
            raise ProtocolFault(
                ErrorCode.BAD_FRAME, str(error), "send one Opus packet of 20 ms in each frame, or audio_up"
            ) from error
