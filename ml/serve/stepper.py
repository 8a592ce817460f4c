"""The batch step on the device: streaming encode, quantize and decode of the rows that have a frame.

Rows are gathered from the preallocated state of all slots, stepped and put back. Measured (hifi 0.4.0, one thread of a
2-core machine in a slow hour, 20 ms frames): 10.5 ms for one row, 13.6 for four and 17.4 for eight; without
`encode_aloud`, which spares decoding twice, 13.5, 19.2 and 24.1. Stepping all eight rows under a mask would cost one
row what eight cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ml.codec import TeluCodec

PCM_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class Stepped:
    """Result of one batch step: codes uint16 [n, levels, frames], PCM16 [n, samples], times in microseconds."""

    codes: npt.NDArray[np.uint16]
    pcm: npt.NDArray[np.int16]
    encode_us: int
    decode_us: int


class CodecStepper:
    """Streaming state of all slots. Every method must be called by the one thread that owns the device."""

    def __init__(self, codec: TeluCodec, capacity: int, frame_samples: int, device: torch.device) -> None:
        config = codec.config
        if frame_samples % config.hop:
            raise ValueError(f"frame_samples {frame_samples} is no multiple of the codec's hop {config.hop}")
        self.levels = config.n_quantizers
        self._codec = codec
        self._device = device
        self._frame_samples = frame_samples
        # On a CPU every batch size is a shape of its own. On a GPU a step costs the same for a few rows more or
        # less, and few shapes are few graphs: sizes go by powers of two and spare rows work on the scratch row.
        self._sizes = [
            size
            for size in range(1, capacity + 1)
            if device.type == "cpu" or size & (size - 1) == 0 or size == capacity
        ]
        self._scratch = capacity
        self._slots = codec.streaming_state(capacity + 1)

    def warm_up(self, rounds: int = 3) -> float:
        """Step every batch size a few times, then reset; returns the milliseconds it took."""
        started = time.perf_counter()
        for size in self._sizes:
            for _ in range(rounds):
                silence = np.zeros((size, self._frame_samples), np.int16)
                self.step(list(range(size)), [], silence, [self.levels] * size)
        with torch.inference_mode():
            self._slots.reset()
        return 1000.0 * (time.perf_counter() - started)

    def step(self, rows: list[int], fresh: list[int], pcm: npt.NDArray[np.int16], quantizers: list[int]) -> Stepped:
        """Advance ``rows`` by one frame.

        Args:
            rows: n different slot numbers.
            fresh: those of them that start a new stream.
            pcm: int16 [n, frame_samples].
            quantizers: how many levels each row decodes.
        """
        n = len(rows)
        size = next(size for size in self._sizes if size >= n)
        spare = size - n
        with torch.inference_mode():
            if fresh:
                mask = torch.zeros(self._scratch + 1, dtype=torch.bool)
                mask[fresh] = True
                self._slots.reset(mask.to(self._device))
            slots = torch.tensor(rows + [self._scratch] * spare, device=self._device)
            started = time.perf_counter_ns()
            batch = self._slots.gather(slots)
            samples = np.zeros((size, self._frame_samples), np.float32)
            np.divide(pcm, PCM_SCALE, out=samples[:n])
            levels = torch.tensor(quantizers + [self.levels] * spare, device=self._device)
            codes, waveform = self._codec.encode_aloud(torch.from_numpy(samples).to(self._device), batch)
            codes_out = codes[:n].to("cpu", torch.int32).numpy().astype(np.uint16)  # waits for a GPU to get there
            encoded = time.perf_counter_ns()
            audio = self._codec.decode_stream(codes, batch, levels, waveform=waveform)
            self._slots.scatter(slots, batch)
            scaled = audio[:n].float().nan_to_num(0.0).mul(PCM_SCALE).round().clamp(-PCM_SCALE, PCM_SCALE - 1)
            pcm_out = scaled.to(torch.int16).cpu().numpy()
            decoded = time.perf_counter_ns()
        return Stepped(codes_out, pcm_out, (encoded - started) // 1000, (decoded - encoded) // 1000)
