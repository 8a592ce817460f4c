"""The figures of one connection: medians of the last second, counters since it began."""

from __future__ import annotations

from statistics import median

from apps.voice.inference_client import AudioDown
from apps.voice.protocol import Stats

BITS_PER_CODE = 10
"""A codebook has 1,024 entries."""
LATE_MS = 40.0
"""Two frames: audio that leaves later than this after its microphone frame came in counts as late."""


class Meter:
    """Fed by the pumps, read once a second."""

    def __init__(self) -> None:
        self.lost = 0
        self.dropped = 0
        self.late = 0
        self._code_frames = 0
        self._queue_ms: list[float] = []
        self._encode_ms: list[float] = []
        self._decode_ms: list[float] = []
        self._server_ms: list[float] = []

    def coded(self, down: AudioDown) -> None:
        """A frame came back from the inference server."""
        self._code_frames += down.frames
        self._queue_ms.append(down.queue_us / 1000)
        self._encode_ms.append(down.encode_us / 1000)
        self._decode_ms.append(down.decode_us / 1000)

    def sent(self, server_ms: float) -> None:
        """A frame's audio left for the client."""
        self._server_ms.append(server_ms)
        self.late += server_ms > LATE_MS

    def second(self, elapsed_s: float, *, quantizers: int, ahead_ms: float) -> Stats:
        """The figures of the ``elapsed_s`` seconds since the last call; begins anew."""
        stats = Stats(
            bitrate_bps=round(self._code_frames * quantizers * BITS_PER_CODE / elapsed_s),
            encode_ms=_median(self._encode_ms),
            decode_ms=_median(self._decode_ms),
            queue_ms=_median(self._queue_ms),
            server_ms=_median(self._server_ms),
            ahead_ms=round(ahead_ms, 1),
            lost=self.lost,
            dropped=self.dropped,
            late=self.late,
        )
        self._code_frames = 0
        for values in (self._queue_ms, self._encode_ms, self._decode_ms, self._server_ms):
            values.clear()
        return stats


def _median(values: list[float]) -> float:
    return round(median(values), 3) if values else 0.0
