"""One's own voice through the codec: every frame is answered by one. Runs in the device thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ml.serve.messages import AudioDown, ServerMessage, Speech
from ml.serve.slots import Frame, Session
from ml.serve.stepper import PCM_SCALE, CodecStepper
from ml.vad import VadBank

Say = Callable[[Session, ServerMessage | None], None]
Floats = npt.NDArray[np.float32]


def step_group(
    stepper: CodecStepper,
    group: list[tuple[Session, Frame]],
    fresh: list[int],
    say: Say,
    clock: Callable[[], int] = time.monotonic_ns,
) -> None:
    """One frame of each session through ``stepper``; ``fresh`` rows begin a new stream."""
    started_ns = clock()
    rows = [session.row for session, _ in group]
    pcm = np.stack([np.frombuffer(frame.audio.pcm, "<i2") for _, frame in group])
    stepped = stepper.step(rows, [row for row in fresh if row in rows], pcm, [f.quantizers for _, f in group])
    for i, (session, frame) in enumerate(group):
        audio = frame.audio
        if session.closed or audio.generation < session.generation:
            say(session, None)
            continue
        down = AudioDown(
            seq=audio.seq,
            timestamp_ms=audio.timestamp_ms,
            generation=audio.generation,
            queue_us=max(0, started_ns - frame.arrived_ns) // 1000,
            encode_us=stepped.encode_us,
            decode_us=stepped.decode_us,
            codes=stepped.codes[i],
            pcm=stepped.pcm[i].astype("<i2").tobytes(),
        )
        say(session, down)


def listen(vad: VadBank, group: list[tuple[Session, Frame]], fresh: list[int], say: Say) -> None:
    """Voice activity of the frames just stepped; after their audio has left, so that it costs no latency."""
    rows = {session.row: session for session, _ in group}
    for row in fresh:
        if row in rows:
            vad.reset(row)
    pcm = np.stack([np.frombuffer(frame.audio.pcm, "<i2") for _, frame in group])
    audio: Floats = pcm.astype(np.float32) / np.float32(PCM_SCALE)
    for row, event in vad.push(list(rows), audio, [frame.audio.timestamp_ms for _, frame in group]):
        say(rows[row], Speech(event.event, max(0, event.at_ms)))
