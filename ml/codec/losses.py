"""Reconstruction losses of the codec. Waveforms are `[B, T]` in [-1, 1]; every term is a scalar."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional


def error_ratio_db(estimate: Tensor, target: Tensor, floor: float = 1e-6) -> Tensor:
    """Mean over rows of 10 log10(|estimate - target|² / |target|²), the negative SNR, in dB.

    `floor` (mean square) keeps silent rows from asking for the impossible.
    """
    noise = (estimate - target).square().mean(dim=-1)
    signal = target.square().mean(dim=-1)
    return 10.0 * torch.log10((noise + floor * 0.1) / (signal + floor)).mean()


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # a measurement may come first, training must still be able to use these
def mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """Triangular HTK mel filters, `[n_fft // 2 + 1, n_mels]`, 0 Hz to the Nyquist frequency."""
    top = 2595.0 * math.log10(1.0 + sample_rate / 2.0 / 700.0)
    edges = 700.0 * (10.0 ** (torch.linspace(0.0, top, n_mels + 2, dtype=torch.float64) / 2595.0) - 1.0)
    bins = torch.linspace(0.0, sample_rate / 2.0, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0).float()


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _window(n_fft: int) -> Tensor:
    return torch.hann_window(n_fft)


def power_spectrum(audio: Tensor, window: Tensor, hop: int) -> Tensor:
    """Squared magnitudes `[B, frames, n_fft // 2 + 1]` of frames of the length of `window` `[n_fft]`, no centring."""
    spectrum = torch.view_as_real(torch.fft.rfft(audio.unfold(-1, window.shape[0], hop) * window))
    return spectrum.square().sum(-1)  # as abs() squared, whose backward is several times slower


def magnitudes(audio: Tensor, n_fft: int, hop: int) -> Tensor:
    """Magnitude STFT `[B, frames, n_fft // 2 + 1]`, Hann window, no centring."""
    return (power_spectrum(audio, _window(n_fft).to(audio.device), hop) + 1e-12).sqrt()


def mel_distance(
    estimate: Tensor, target: Tensor, scales: tuple[int, ...] = (1024, 256), sample_rate: int = 16_000
) -> Tensor:
    """Mean absolute log-mel difference (natural log), averaged over window lengths `scales` (hop a quarter)."""
    total = estimate.new_zeros(())
    for n_fft in scales:
        filters = mel_filters(n_fft, 80 if n_fft >= 1024 else 32, sample_rate).to(estimate.device)
        a, b = (torch.log(magnitudes(x, n_fft, n_fft // 4) @ filters + 1e-3) for x in (estimate, target))
        total = total + functional.l1_loss(a, b)
    return total / len(scales)


def stft_distance(estimate: Tensor, target: Tensor, scales: tuple[int, ...] = (2048, 1024, 512)) -> Tensor:
    """Spectral convergence plus log-magnitude L1 (Yamamoto et al. 2020), averaged over window lengths."""
    total = estimate.new_zeros(())
    for n_fft in scales:
        a, b = (magnitudes(x, n_fft, n_fft // 4) for x in (estimate, target))
        convergence = (a - b).norm() / b.norm().clamp(min=1e-4)
        total = total + convergence + functional.l1_loss(torch.log(a + 1e-3), torch.log(b + 1e-3))
    return total / len(scales)


def band_error_ratio_db(
    estimate: Tensor, target: Tensor, n_fft: int = 512, n_mels: int = 40, sample_rate: int = 16_000, floor: float = 1e-4
) -> Tensor:
    """Mean over time-frequency cells of 10 log10(error power / signal power) in mel bands, in dB.

    Plain SNR spends every bit where the energy is; the ear, and PESQ, judge each band and moment by itself.
    """
    filters = mel_filters(n_fft, n_mels, sample_rate).to(estimate.device)
    error = magnitudes(estimate - target, n_fft, n_fft // 4).square() @ filters
    signal = magnitudes(target, n_fft, n_fft // 4).square() @ filters
    return 10.0 * torch.log10((error + 0.1 * floor) / (signal + floor)).mean()


def level_distance(
    estimate: Tensor, target: Tensor, n_fft: int = 512, n_mels: int = 40, sample_rate: int = 16_000, frames: int = 12
) -> Tensor:
    """Mean absolute difference of the levels of mel bands over some 100 ms (`frames` of 8 ms), in units of 10 dB.

    What cannot be followed sample by sample can still be as loud as it was: a loss that forgives what is missing leaves
    it out, and speech comes out dull.
    """
    filters = mel_filters(n_fft, n_mels, sample_rate).to(estimate.device)
    a, b = (
        functional.avg_pool1d(
            (magnitudes(x, n_fft, n_fft // 4).square() @ filters).transpose(1, 2), frames, max(1, frames // 2)
        )
        for x in (estimate, target)
    )
    return (torch.log10(a + 1e-5) - torch.log10(b + 1e-5)).abs().mean()


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)
def third_octave_bands(n_fft: int, sample_rate: int) -> Tensor:
    """The 15 third-octave bands from 150 Hz of STOI, `[n_fft // 2 + 1, 15]` of zeros and ones."""
    centres = 150.0 * 2.0 ** (torch.arange(15) / 3.0)
    bins = torch.linspace(0.0, sample_rate / 2.0, n_fft // 2 + 1)[:, None]
    return ((bins >= centres * 2.0 ** (-1 / 6)) & (bins < centres * 2.0 ** (1 / 6))).float()


def envelope_correlation(estimate: Tensor, target: Tensor, sample_rate: int = 16_000, segment: int = 30) -> Tensor:
    """Mean correlation of third-octave envelopes over 384 ms, the core of STOI (Taal et al. 2011), 1 at best.

    Segments 40 dB below a row's loudest are left out, as STOI leaves out silence.
    """
    n_fft, hop = 512, 205  # 32 and 12.8 ms: STOI's 256 and 128 samples at 10 kHz, near enough
    bands = third_octave_bands(n_fft, sample_rate).to(estimate.device)
    a, b = (
        (magnitudes(x, n_fft, hop).square() @ bands + 1e-8).sqrt().unfold(1, segment, segment // 3)
        for x in (estimate, target)
    )
    energy = b.square().sum(dim=(2, 3))
    kept = (energy > energy.amax(dim=1, keepdim=True) * 1e-4).float()
    a, b = (x - x.mean(dim=-1, keepdim=True) for x in (a, b))
    correlation = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)).clamp(min=1e-6)
    return (correlation.mean(dim=-1) * kept).sum() / kept.sum().clamp(min=1.0)
