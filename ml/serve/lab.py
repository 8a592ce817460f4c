"""Work on recordings beside the device thread, on a thread of its own: the codec lab, and captions.

Live sessions come first: the thread works in pieces of half a second, and after each rests as long as the piece took
while anybody talks. It has no low priority of its own: the device thread would wait for the interpreter's lock with it.
One recording at a time; a few wait. A caption takes less than a tenth of a second and goes before the lab.
"""

from __future__ import annotations

import itertools
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from ml.codec import TeluCodec
from ml.recogniser import Recogniser
from ml.serve import wire
from ml.serve.shelf import Loaded

log = logging.getLogger(__name__)

WAITING = 3
"""Recordings that may wait behind the one in work: at most some seconds each."""
CAPTIONS_WAITING = 16
PIECE_S = 0.5
PCM_SCALE = 32_768.0

Reply = wire.LabPiece | wire.LabDone | wire.Captioned | wire.Error
Find = Callable[[str], Loaded | None]


@dataclass(slots=True)
class LabJob:
    """One recording. ``say`` is called on the lab's thread, for the last time with the answer or `Error`."""

    request: wire.Lab | wire.Caption
    pcm: npt.NDArray[np.int16]
    say: Callable[[Reply], None]
    came_s: float = field(default_factory=time.monotonic)
    gone: bool = False
    """Nobody waits for it any more."""


class Lab:
    """Takes recordings from any thread."""

    def __init__(
        self, find: Find, device: torch.device, busy: Callable[[], bool], recogniser: Recogniser | None = None
    ) -> None:
        self._recogniser = recogniser
        self._find = find
        self._device = device
        self._busy = busy
        self._waiting: dict[type, int] = {wire.Lab: 0, wire.Caption: 0}
        self._lock = threading.Lock()
        self._jobs: queue.PriorityQueue[tuple[int, int, LabJob | None]] = queue.PriorityQueue()
        self._count = itertools.count()
        self._thread = threading.Thread(target=self._run, name="lab", daemon=True)
        self._stopping = False

    def start(self) -> None:
        """Begin to take work."""
        self._thread.start()

    def stop(self) -> None:
        """Give up what waits and end after the present piece."""
        self._stopping = True
        self._jobs.put((0, next(self._count), None))
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, job: LabJob) -> bool:
        """Queue a recording; False when too many wait already."""
        kind = type(job.request)
        with self._lock:
            if self._stopping or self._waiting[kind] >= (WAITING if kind is wire.Lab else CAPTIONS_WAITING):
                return False
            self._waiting[kind] += 1
        self._jobs.put((2 if kind is wire.Lab else 1, next(self._count), job))
        return True

    def _run(self) -> None:
        torch.set_num_threads(1)
        while (job := self._jobs.get()[2]) is not None and not self._stopping:
            with self._lock:
                self._waiting[type(job.request)] -= 1
            if job.gone:
                continue
            try:
                if isinstance(job.request, wire.Caption):
                    self._caption(job)
                else:
                    self._work(job, job.request)
            except Exception as error:
                log.exception("a recording could not be worked on")
                job.say(wire.Error("lab_failed", f"the model failed: {type(error).__name__}"))

    def _caption(self, job: LabJob) -> None:
        if self._recogniser is None:
            job.say(wire.Error("unsupported", "there are no captions here: the recogniser's weights are missing"))
            return
        phones = self._recogniser.phones((job.pcm / PCM_SCALE).astype(np.float32))
        if not phones:
            job.say(wire.Captioned("", 1.0, known=False))
            return
        found = self._recogniser.captioned(phones)
        job.say(wire.Captioned(found.text[:4096], round(found.distance, 4), found.known))

    def _work(self, job: LabJob, request: wire.Lab) -> None:
        loaded = self._find(request.preset)
        if loaded is None:
            job.say(wire.Error("unknown_preset", f"preset {request.preset!r} is not loaded here"))
            return
        codec: TeluCodec = loaded.model
        config = codec.config
        waited_ms = 1000.0 * (time.monotonic() - job.came_s)
        with torch.inference_mode():
            encode_s, decode_s, snr_db = self._through(codec, job, request.quantizers)
        if job.gone or self._stopping:
            return
        job.say(
            wire.LabDone(
                hop=config.hop,
                kbps=config.kbps(request.quantizers),
                snr_db=round(snr_db, 2),
                delay_ms=1000.0 * config.delay_samples / config.sample_rate,
                waited_ms=round(waited_ms, 1),
                encode_ms=round(1000 * encode_s, 2),
                decode_ms=round(1000 * decode_s, 2),
                model=dict(loaded.card),
            )
        )

    def _through(self, codec: TeluCodec, job: LabJob, quantizers: int) -> tuple[float, float, float]:
        """Encode and decode piece by piece; seconds of both, and the signal-to-noise ratio in dB."""
        config, total = codec.config, len(job.pcm)
        skip = config.delay_samples
        step = max(1, round(PIECE_S * config.sample_rate / config.hop)) * config.hop
        # The last frames flush the look-ahead out, as offline encoding does.
        source = np.zeros(total + skip + -(total + skip) % config.hop, np.float32)
        source[:total] = job.pcm / PCM_SCALE
        state = codec.streaming_state(1)
        given, encode_s, decode_s, signal, noise = 0, 0.0, 0.0, 0.0, 0.0
        for at in range(0, len(source), step):
            if job.gone or self._stopping:
                break
            started = time.perf_counter()
            block = torch.from_numpy(source[at : at + step])[None].to(self._device)
            codes = codec.encode_stream(block, state)
            codes_out = codes[0].to("cpu", torch.int32).numpy().astype(np.uint16)
            encoded = time.perf_counter()
            audio = codec.decode_stream(codes, state, quantizers)[0].float().nan_to_num(0.0).cpu().numpy()
            decoded = time.perf_counter()
            encode_s += encoded - started
            decode_s += decoded - encoded
            audio, skip = audio[skip:], max(0, skip - len(audio))
            audio = audio[: total - given]
            true = source[given : given + len(audio)].astype(np.float64)
            signal += float(np.square(true).sum())
            noise += float(np.square(true - audio).sum())
            given += len(audio)
            pcm = np.clip(np.round(audio * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype("<i2")
            job.say(wire.LabPiece(codes_out, pcm.tobytes()))
            if self._busy():
                time.sleep(decoded - started)
        return encode_s, decode_s, 10.0 * math.log10(signal / noise) if signal > 0 and noise > 0 else 0.0
