"""How fast the codec is: per chunk size, encode and decode time of one or several streams."""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import torch

from ml.codec.model import TeluCodec


def resident_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def codec_speed(codec: TeluCodec, *, chunk_ms: float, rows: int, seconds: float) -> dict[str, Any]:
    """Stream `seconds` of noise in chunks of `chunk_ms` through `rows` rows; milliseconds per chunk and their sum.

    `rtf` is the computing time of one chunk over its duration, encode and decode together; it counts all rows as
    one, so `rtf / rows` is the share of a machine that one stream takes.
    """
    config = codec.config
    frames = max(1, round(chunk_ms * config.frame_rate / 1000))
    samples = frames * config.hop
    device = next(codec.parameters()).device
    chunks = max(10, round(seconds * config.sample_rate / samples))
    audio = torch.randn(rows, samples, device=device) * 0.1
    encode, decode = np.zeros(chunks), np.zeros(chunks)
    with torch.inference_mode():
        state = codec.streaming_state(rows)
        for i in range(-5, chunks):  # five to warm up
            began = time.perf_counter()
            codes = codec.encode_stream(audio, state)
            _wait(device)
            middle = time.perf_counter()
            codec.decode_stream(codes, state)
            _wait(device)
            if i >= 0:
                encode[i], decode[i] = middle - began, time.perf_counter() - middle
    duration_ms = 1000 * samples / config.sample_rate
    both = 1000 * (encode + decode)
    return {
        "chunk_ms": duration_ms,
        "rows": rows,
        **{
            f"{name}_ms_{q}": round(1000 * float(np.percentile(values, p)), 3)
            for name, values in (("encode", encode), ("decode", decode))
            for q, p in (("p50", 50), ("p95", 95))
        },
        "rtf": round(float(np.median(both)) / duration_ms, 4),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
