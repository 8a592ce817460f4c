"""A differentiable relative of PESQ wideband: what a listener would hear of the difference of two signals.

After ITU-T P.862 and P.862.2 and, for the form of a loss, Martín-Doñas et al. 2018 ("A deep learning loss function
based on the perceptual evaluation of the speech quality"): both signals are brought to one level, cut into frames of
32 ms, summed into critical bands and turned into loudness by Zwicker's law; the difference beyond a masked dead zone
is the symmetric disturbance, and what was added rather than lost weighs again as the asymmetric one. The Bark scale is
Zwicker's, the threshold in quiet goes through a few points; delay search and the second look at bad intervals are left
out: signals here are aligned by construction. `tests/ml/codec/test_loudness.py` compares it with the real PESQ.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ml.codec.losses import power_spectrum

_N_FFT, _HOP, _RATE, _BANDS = 512, 256, 16_000, 49
_SPEECH_POWER = 1e7  # mean square of speech from 350 to 3,250 Hz after level alignment: 79 dB SPL
_ZWICKER = 0.23
_SONE = 0.1866  # loudness of 1 kHz at 40 dB SPL is one sone
_FLOOR = 10.0 ** (-46 / 10)  # band power below which a crop counts as a pause and is not lifted to speech level


# Threshold in quiet as P.862 has it, read at these points: Hz and dB.
_QUIET = (
    *((30, 64), (64, 48), (96, 37), (160, 26), (230, 17), (300, 10), (410, 3), (530, -1.4), (730, -4.8)),
    *((1_000, -6), (1_500, -4.7), (2_200, -3), (3_500, -2.8), (5_600, -4.4), (7_800, -2.7)),
)


class _Scale(NamedTuple):
    """Constants of the analysis, all float32."""

    window: Tensor  # [n_fft]
    response: Tensor  # [bins], power response of the receiving filter
    speech: Tensor  # [bins], ones from 350 to 3,250 Hz
    bands: Tensor  # [bins, bands], shares of bins in bands, in the scale where 10^(dB SPL / 10) is power
    threshold: Tensor  # [bands], power of the threshold in quiet
    power: Tensor  # [bands], exponent of loudness
    width: Tensor  # [bands] in Bark


def _bark(hertz: Tensor) -> Tensor:
    return 13.0 * torch.atan(7.6e-4 * hertz) + 3.5 * torch.atan((hertz / 7_500.0).square())


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)  # a measurement may come first, training must still be able to use these
def _scale(device: str) -> _Scale:
    bins = torch.arange(_N_FFT // 2 + 1, dtype=torch.float64) * (_RATE / _N_FFT)
    half = _RATE / _N_FFT / 2
    low, high = _bark((bins - half).clamp(min=0.0)), _bark(bins + half)
    edges = torch.linspace(0.0, float(_bark(torch.tensor(8_000.0, dtype=torch.float64))), _BANDS + 1).double()
    overlap = torch.minimum(high[:, None], edges[1:]) - torch.maximum(low[:, None], edges[:-1])
    bands = overlap.clamp(min=0.0) / (high - low)[:, None]
    centre = (edges[1:] + edges[:-1]) / 2
    hertz = (bands * bins[:, None]).sum(0) / bands.sum(0).clamp(min=1e-9)
    at, decibels = np.array(_QUIET, np.float64).T
    quiet = torch.from_numpy(np.interp(hertz.numpy(), at, decibels))
    gain = 6.9e-4 * torch.where(hertz < 1_000.0, 1.0, 0.65)
    steeper = torch.where(centre < 4.0, (6.0 / (centre + 2.0)).clamp(max=2.0) ** 0.15, 1.0)
    # Receiving filter of P.862.2: a second-order high pass that is flat from about 200 Hz
    z = torch.exp(-1j * 2.0 * math.pi * bins / _RATE)
    response = (2.6657628 * (1.0 - z) ** 2 / (1.0 - 1.8890331 * z + 0.89487434 * z**2)).abs().square()
    return _Scale(
        *(
            t.to(device, torch.float32)
            for t in (
                torch.hann_window(_N_FFT, dtype=torch.float64),
                response,
                ((bins >= 350.0) & (bins <= 3_250.0)).double(),
                bands * gain,
                10.0 ** (quiet / 10.0),
                _ZWICKER * steeper,
                edges.diff(),
            )
        )
    )


class Disturbance(NamedTuple):
    """What was heard, per row `[B]`; lower is better."""

    symmetric: Tensor
    asymmetric: Tensor

    @property
    def loss(self) -> Tensor:
        """Points of the raw score that the disturbance costs, `[B]`, 0 at best.

        P.862 weighs the two by 0.1 and 0.0309; these weights fit this form of them to PESQ (see the test).
        """
        return 0.111 * self.symmetric + 0.043 * self.asymmetric

    @property
    def mos(self) -> Tensor:
        """The wideband mean opinion score that P.862.2 maps these to, `[B]`, 1.0 to 4.64: about what PESQ says."""
        return 0.999 + 4.0 / (1.0 + torch.exp(-1.3669 * (4.43 - self.loss) + 3.8224))


def disturbance(estimate: Tensor, target: Tensor) -> Disturbance:
    """Disturbance of `estimate` against `target`: aligned waveforms `[B, T]` at 16 kHz in [-1, 1], T at least 1,024."""
    scale = _scale(str(estimate.device))
    degraded, reference = (power_spectrum(x, scale.window, _HOP) for x in (estimate, target))
    # Parseval: mean square per sample of the windowed frames, whose window has a mean square of 3/8.
    speech = 2.0 / (0.375 * _N_FFT**2) * scale.speech
    level_a, level_b = ((p @ speech).mean(dim=1) for p in (degraded, reference))
    level_a = torch.maximum(level_a, 1e-2 * level_b.detach()).clamp(min=_FLOOR)
    bands = scale.response[:, None] * scale.bands
    a = degraded @ bands * (_SPEECH_POWER / level_a)[:, None, None]
    b = reference @ bands * (_SPEECH_POWER / level_b.clamp(min=_FLOOR))[:, None, None]

    # A steady difference of timbre is half forgiven: the reference is filtered towards what was made of it.
    heard_b = torch.where(b > 100.0 * scale.threshold, b, torch.zeros_like(b)).detach()
    voiced = (heard_b[:, :, 1:].sum(-1, keepdim=True) > 1e7).float()
    mean_a = (torch.where(a > 100.0 * scale.threshold, a, torch.zeros_like(a)) * voiced).mean(dim=1, keepdim=True)
    mean_b = (heard_b * voiced).mean(dim=1, keepdim=True)
    b = b * ((mean_a + 1_000.0) / (mean_b + 1_000.0)).clamp(0.01, 100.0)
    # So is a slow change of gain.
    heard = [torch.where(x > scale.threshold, x, torch.zeros_like(x))[:, :, 1:].sum(-1) for x in (b, a)]
    gain = _smoothed((heard[0] + 5_000.0) / (heard[1] + 5_000.0)).clamp(3e-4, 5.0)
    a = a * gain[:, :, None]

    loud_a, loud_b = (_loudness(x, scale) for x in (a, b))
    dead = 0.25 * torch.minimum(loud_a, loud_b)
    difference = loud_a - loud_b
    audible = torch.sign(difference) * (difference.abs() - dead).clamp(min=0.0)
    ratio = ((a + 50.0) / (b + 50.0)) ** 1.2
    added = torch.where(ratio < 3.0, torch.zeros_like(ratio), ratio.clamp(max=12.0))

    weight = ((heard[0] + 1e5) / 1e7).detach() ** 0.04
    width, total = scale.width[1:], scale.width[1:].sum()
    square = ((audible[:, :, 1:] * width).square().sum(-1) / total + 1e-9).sqrt() * total / weight
    linear = ((audible * added)[:, :, 1:].abs() * width).sum(-1) / weight
    return Disturbance(_over_time(square.clamp(max=45.0)), _over_time(linear.clamp(max=45.0)))


def _loudness(power: Tensor, scale: _Scale) -> Tensor:
    """Zwicker's law: sones per Bark of power `[B, T, bands]`, zero below the threshold in quiet."""
    above = (0.5 + 0.5 * torch.maximum(power, scale.threshold) / scale.threshold) ** scale.power - 1.0
    return _SONE * (scale.threshold / 0.5) ** scale.power * above


def _smoothed(ratio: Tensor) -> Tensor:
    """First-order low pass 0.2 + 0.8 z^-1 over time, `[B, T]`, as a short product instead of a recursion."""
    time = ratio.shape[1]
    lag = torch.arange(time, device=ratio.device)
    lag = lag[:, None] - lag[None, :]
    kernel = torch.where(lag >= 0, 0.8 * 0.2 ** lag.clamp(min=0).float(), 0.0)
    return ratio @ kernel.T + 0.2 ** (lag[:, 0] + 1).float()


def _over_time(frames: Tensor) -> Tensor:
    """`[B, T] -> [B]`: norm of order 6 over 20 frames (320 ms), of order 2 over those; short bursts weigh more."""
    span = min(20, frames.shape[1])
    syllables = (frames.unfold(1, span, max(1, span // 2)) + 1e-6).pow(6).mean(-1).pow(1 / 6)
    return syllables.square().mean(-1).sqrt()
