"""The usual shape of a neural codec, as the yardstick of `bench codec`: convolutions at the sample rate.

Channels 32·64·128·256·512·1024 with strides 2·2·2·2·5 (hop 80), one residual unit per scale, as EnCodec and DAC are
built. It has random weights: only its time counts.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CHANNELS = (32, 64, 128, 256, 512, 1024)
STRIDES = (2, 2, 2, 2, 5)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ELU(), nn.Conv1d(channels, channels, 7, padding=3), nn.ELU(), nn.Conv1d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def reference_codec() -> tuple[nn.Module, nn.Module]:
    """Encoder `[B, 1, T] -> [B, 128, T / 80]` and decoder back."""
    down: list[nn.Module] = [nn.Conv1d(1, CHANNELS[0], 7, padding=3)]
    up: list[nn.Module] = [nn.Conv1d(128, CHANNELS[-1], 7, padding=3)]
    pairs = list(zip(CHANNELS, CHANNELS[1:], STRIDES, strict=False))
    for narrow, wide, stride in pairs:
        down += [_Residual(narrow), nn.ELU(), nn.Conv1d(narrow, wide, 2 * stride, stride, padding=stride // 2)]
    for narrow, wide, stride in reversed(pairs):
        up += [
            nn.ELU(),
            nn.ConvTranspose1d(wide, narrow, 2 * stride, stride, padding=(stride + 1) // 2, output_padding=stride % 2),
            _Residual(narrow),
        ]
    down += [nn.ELU(), nn.Conv1d(CHANNELS[-1], 128, 7, padding=3)]
    up += [nn.ELU(), nn.Conv1d(CHANNELS[0], 1, 7, padding=3)]
    return nn.Sequential(*down).eval(), nn.Sequential(*up).eval()


def reference_speed(*, chunk_ms: float, seconds: float, device: str) -> dict[str, Any]:
    """Milliseconds per chunk of `chunk_ms` (rounded to frames of 80 samples), encode and decode."""
    encoder, decoder = (part.to(device) for part in reference_codec())
    samples = max(1, round(chunk_ms * 16 / 80)) * 80
    audio = torch.randn(1, 1, samples, device=device) * 0.1
    runs = max(10, round(seconds * 16_000 / samples))
    times = np.zeros((2, runs))
    with torch.inference_mode():
        for i in range(-3, runs):
            began = time.perf_counter()
            latents = encoder(audio)
            middle = time.perf_counter()
            decoder(latents)
            if i >= 0:
                times[:, i] = middle - began, time.perf_counter() - middle
    encode, decode = (1000 * float(np.median(row)) for row in times)
    parameters = sum(p.numel() for part in (encoder, decoder) for p in part.parameters())
    return {
        "chunk_ms": samples / 16,
        "parameters_m": round(parameters / 1e6, 1),
        "encode_ms_p50": round(encode, 2),
        "decode_ms_p50": round(decode, 2),
        "rtf": round((encode + decode) / (samples / 16), 4),
    }
