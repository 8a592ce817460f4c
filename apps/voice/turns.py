"""Cuts a connection's audio into turns: pure, bounded, and clocked by the audio itself.

The pipeline tells it every 20 ms frame three times: when it was heard, when the inference server had coded it, and when
its audio was sent back (or given up). Voice activity says where speech began and ended; what lies between, with a
little before and after, becomes a :class:`TurnCut`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from apps.voice.protocol import FRAME_MS, UP_PAYLOAD_BYTES

Codes = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class TurnCut:
    """One stretch of speech. ``pcm`` is what was said, ``output_pcm`` one's own voice sent back (PCM16LE, 16 kHz).

    ``codes`` is uint16 [levels, frames] or None; ``latency`` maps names ending in ``_ms`` to medians over the turn;
    times are ms on the connection's media clock.
    """

    started_ms: int
    duration_ms: int
    pcm: bytes
    output_pcm: bytes
    codes: Codes | None
    latency: dict[str, float]
    interrupted_at_ms: int | None
    frames_missing: int
    """Frames of the turn whose audio was not sent back: given up in a queue, stale, or cut off by the end."""
    role: Literal["user", "assistant"] = "user"
    response_ms: int | None = None
    """Of answers: from the end of the person's speech to their first audio."""
    end_reason: str = ""
    """Of answers: why they ended."""
    plan: int | None = None
    """Of answers: what the model chose to say, as it numbers what it knows."""


@dataclass(slots=True)
class _Frame:
    pcm: bytes
    codes: Codes | None = None
    output: bytes = b""
    settled: bool = False
    """Nothing more will be learnt about this frame: its audio was sent, or given up."""
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Span:
    """Frames [start, end) that will be a turn; ``end`` is None while the speech goes on."""

    start: int
    end: int | None = None
    endpoint_ms: float | None = None
    interrupted_at_ms: int | None = None
    network_ms: list[float] = field(default_factory=list)
    playback_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How turns are cut; all in ms."""

    preroll_ms: int = 300
    """Kept before the start of speech, so that a soft first consonant is not lost."""
    postroll_ms: int = 100
    max_turn_ms: int = 30_000
    """A longer stretch is split here: both directions of it are held in memory, about 64 kB a second."""
    history_ms: int = 2_000
    """Held while nobody speaks; has to cover the pre-roll and the time that voice activity takes to decide."""
    settle_ms: int = 2_000
    """How long a finished turn waits for the last of its audio to be sent back, on the clock of what is heard."""


class TurnAssembler:
    """The frames of one connection. ``index`` counts accepted microphone frames from 0 without gaps."""

    def __init__(self, limits: TurnLimits | None = None) -> None:
        self._limits = limits or TurnLimits()
        self._frames: deque[_Frame] = deque()
        self._base = 0
        self._open: _Span | None = None
        self._closing: deque[_Span] = deque()
        self._coded_until = 0
        self._last_end = 0

    @property
    def speaking(self) -> bool:
        return self._open is not None

    @property
    def held_frames(self) -> int:
        """Frames in memory (both directions of each)."""
        return len(self._frames)

    @property
    def _heard_until(self) -> int:
        return self._base + len(self._frames)

    # -- what happens to a frame ---------------------------------------------------------------------------

    def heard(self, index: int, pcm: bytes) -> None:
        """The microphone frame ``index`` was accepted; indices come in order, without gaps."""
        if index != self._heard_until:
            raise ValueError(f"frame {index} heard, {self._heard_until} expected")
        if len(pcm) != UP_PAYLOAD_BYTES:
            raise ValueError(f"a frame has {UP_PAYLOAD_BYTES} bytes, got {len(pcm)}")
        self._frames.append(_Frame(pcm))
        span = self._open
        if span is not None and self._heard_until - span.start >= _frames(self._limits.max_turn_ms):
            self._close(span, self._heard_until)
            # The speech goes on: the next part starts exactly where this one ended.
            self._open = _Span(self._heard_until)
        self._trim()

    def coded(self, index: int, codes: Codes, *, queue_ms: float, encode_ms: float, decode_ms: float) -> None:
        """The inference server answered frame ``index`` with ``codes`` [levels, frames]."""
        self._coded_until = max(self._coded_until, index + 1)
        if (frame := self._frame(index)) is not None:
            frame.codes = codes
            frame.timings.update(queue_ms=queue_ms, encode_ms=encode_ms, decode_ms=decode_ms)

    def sent(self, index: int, pcm: bytes, server_ms: float) -> None:
        """The audio of frame ``index`` left for the client, ``server_ms`` after the frame had come in."""
        if (frame := self._frame(index)) is not None:
            frame.output, frame.settled = pcm, True
            frame.timings["server_ms"] = server_ms

    def given_up(self, index: int) -> None:
        """The audio of frame ``index`` will not be sent."""
        if (frame := self._frame(index)) is not None:
            frame.settled = True

    # -- what happens around it ----------------------------------------------------------------------------

    def speech(self, event: Literal["started", "stopped"], at_ms: int) -> None:
        """Voice activity changed at ``at_ms`` of the media clock; a repeated event is ignored."""
        if event == "started":
            if self._open is None:
                start = (at_ms - self._limits.preroll_ms) // FRAME_MS
                self._open = _Span(min(max(start, self._base, self._last_end), self._heard_until))
            return
        if (span := self._open) is None:
            return
        end = -(-(at_ms + self._limits.postroll_ms) // FRAME_MS)
        span.endpoint_ms = max(0.0, float(self._coded_until * FRAME_MS - at_ms))
        self._open = None
        self._close(span, min(max(end, span.start + 1), self._heard_until))

    def interrupted(self) -> None:
        """The client interrupted; the open turn remembers when it did so first."""
        if (span := self._open) is not None and span.interrupted_at_ms is None:
            span.interrupted_at_ms = (self._heard_until - span.start) * FRAME_MS

    def playback(self, buffered_ms: float) -> None:
        """The client reported its buffer."""
        if self._open is not None and len(self._open.playback_ms) < 1000:
            self._open.playback_ms.append(buffered_ms)

    def network(self, rtt_ms: float) -> None:
        """The client reported a round trip."""
        if self._open is not None and len(self._open.network_ms) < 1000:
            self._open.network_ms.append(rtt_ms)

    # -- what comes out ------------------------------------------------------------------------------------

    def take(self) -> list[TurnCut]:
        """Turns that are complete: every frame settled, or waited for long enough."""
        patience = _frames(self._limits.settle_ms)
        cuts = []
        while self._closing:
            span = self._closing[0]
            assert span.end is not None
            settled = all(self._at(index).settled for index in range(span.start, span.end))
            if not settled and self._heard_until - span.end < patience:
                break
            cuts.append(self._cut(self._closing.popleft()))
        self._trim()
        return cuts

    def flush(self) -> list[TurnCut]:
        """The connection ends: every turn as it stands, also one that is being spoken."""
        if (span := self._open) is not None:
            self._open = None
            self._close(span, self._heard_until)
        cuts = [self._cut(span) for span in self._closing]
        self._closing.clear()
        self._trim()
        return cuts

    # -- inside --------------------------------------------------------------------------------------------

    def _close(self, span: _Span, end: int) -> None:
        span.end = end
        if end > span.start:
            self._last_end = end
            self._closing.append(span)

    def _at(self, index: int) -> _Frame:
        return self._frames[index - self._base]

    def _frame(self, index: int) -> _Frame | None:
        return self._at(index) if self._base <= index < self._heard_until else None

    def _trim(self) -> None:
        keep = self._heard_until - _frames(self._limits.history_ms)
        for span in (self._open, self._closing[0] if self._closing else None):
            if span is not None:
                keep = min(keep, span.start)
        while self._base < keep:
            self._frames.popleft()
            self._base += 1

    def _cut(self, span: _Span) -> TurnCut:
        assert span.end is not None
        frames = [self._at(index) for index in range(span.start, span.end)]
        codes = [frame.codes for frame in frames if frame.codes is not None]
        latency = {
            name: _median(frame.timings[name] for frame in frames if name in frame.timings)
            for name in ("queue_ms", "encode_ms", "decode_ms", "server_ms")
        }
        latency["endpoint_ms"] = span.endpoint_ms
        latency["network_ms"] = _median(span.network_ms)
        latency["playback_ms"] = _median(span.playback_ms)
        return TurnCut(
            started_ms=span.start * FRAME_MS,
            duration_ms=len(frames) * FRAME_MS,
            pcm=b"".join(frame.pcm for frame in frames),
            output_pcm=b"".join(frame.output for frame in frames),
            codes=np.concatenate(codes, axis=1) if codes else None,
            latency={name: round(value, 3) for name, value in latency.items() if value is not None},
            interrupted_at_ms=span.interrupted_at_ms,
            frames_missing=sum(not frame.output for frame in frames),
        )


def _frames(ms: int) -> int:
    return ms // FRAME_MS


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None
