"""Discriminators for adversarial training: multi-period and multi-scale STFT, hinge loss, feature matching.

Sources: multi-period, Kong et al. 2020 (HiFi-GAN); multi-scale STFT on complex spectra, Défossez et al. 2022 (EnCodec).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

Features = list[Tensor]
_SLOPE = 0.1


@dataclass(frozen=True, slots=True)
class DiscriminatorConfig:
    """Sizes of the discriminators."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    """Periods at which the waveform is folded."""
    n_ffts: tuple[int, ...] = (2048, 1024, 512)
    """STFT window lengths; the hop is a quarter."""
    period_width: int = 16
    """Channels after the first period convolution; they double twice, then stay."""
    stft_width: int = 16
    """Channels of the STFT convolutions."""


class PeriodDiscriminator(nn.Module):
    """Judges the waveform `[B, T]` folded to `[B, 1, T / period, period]`."""

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, width, 2 * width, 4 * width, 4 * width)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), padding=(2, 0))) for a, b in itertools.pairwise(widths)
        )
        self.judge = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> tuple[Tensor, Features]:
        x = functional.pad(audio, (0, -audio.shape[1] % self.period)).reshape(audio.shape[0], 1, -1, self.period)
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return self.judge(x), features


class SpectrumDiscriminator(nn.Module):
    """Judges the complex STFT of the waveform `[B, T]` as an image of two channels."""

    window: Tensor

    def __init__(self, n_fft: int, width: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.layers = nn.ModuleList(
            [
                weight_norm(nn.Conv2d(2, width, (3, 9), padding=(1, 4))),
                *(
                    weight_norm(nn.Conv2d(width, width, (3, 9), (1, 2), padding=(d, 4), dilation=(d, 1)))
                    for d in (1, 2, 4)
                ),
                weight_norm(nn.Conv2d(width, width, (3, 3), padding=1)),
            ]
        )
        self.judge = weight_norm(nn.Conv2d(width, 1, (3, 3), padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, Features]:
        frames = audio.float().unfold(-1, self.n_fft, self.n_fft // 4) * self.window
        spectrum = torch.fft.rfft(frames) * (2.0 / self.n_fft**0.5)
        x = torch.stack([spectrum.real, spectrum.imag], dim=1)
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return self.judge(x), features


class Discriminators(nn.Module):
    """All of them; a call returns one judgement map and one feature list each."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [
                *(PeriodDiscriminator(period, config.period_width) for period in config.periods),
                *(SpectrumDiscriminator(n_fft, config.stft_width) for n_fft in config.n_ffts),
            ]
        )

    def forward(self, audio: Tensor) -> tuple[list[Tensor], list[Features]]:
        pairs = [part(audio) for part in self.parts]
        return [score for score, _ in pairs], [features for _, features in pairs]


def discriminator_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Hinge loss of the discriminators, mean over them."""
    terms = [functional.relu(1 - r).mean() + functional.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def adversarial_loss(fake: list[Tensor]) -> Tensor:
    """Hinge loss of the generator, mean over discriminators."""
    return torch.stack([functional.relu(1 - f).mean() for f in fake]).mean()


def feature_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Mean absolute difference of features over the mean size of the real ones, over layers and discriminators."""
    terms = [
        (r.detach() - f).abs().mean() / r.detach().abs().mean().clamp(min=1e-4)
        for real_part, fake_part in zip(real, fake, strict=True)
        for r, f in zip(real_part, fake_part, strict=True)
    ]
    return torch.stack(terms).mean()
