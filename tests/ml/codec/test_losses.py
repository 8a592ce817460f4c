"""Loss terms say what they are for."""

from __future__ import annotations

import pytest
import torch

from ml.codec.losses import band_error_ratio_db, level_distance


def test_the_level_of_bands_counts_and_their_waveform_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, other = torch.randn(2, 1, 32_000, generator=generator) * 0.05
    spectrum = torch.fft.rfft(noise)
    spectrum[:, spectrum.shape[1] // 2 :] *= 0.1  # 20 dB less above 4 kHz
    dull = torch.fft.irfft(spectrum)

    assert float(level_distance(noise, noise)) == 0.0
    assert float(level_distance(0.5 * noise, noise)) == pytest.approx(0.602, abs=0.01), "6 dB"
    as_loud, left_out = float(level_distance(other, noise)), float(level_distance(dull, noise))
    assert as_loud < 0.15
    assert left_out > 3 * as_loud
    assert float(band_error_ratio_db(dull, noise)) < float(band_error_ratio_db(other, noise)), "which prefers the dull"


def test_levels_can_be_trained_on_silence() -> None:
    silence = torch.zeros(1, 16_000)
    estimate = torch.full((1, 16_000), 1e-4, requires_grad=True)
    level_distance(estimate, silence).backward()  # type: ignore[no-untyped-call]
    assert estimate.grad is not None
    assert bool(torch.isfinite(estimate.grad).all())
