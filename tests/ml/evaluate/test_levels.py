"""Levels set right: the bands get the energies of the original and nothing else of it."""

import math

import torch

from ml.evaluate.levels import set_right


def tone(hertz: float, level: float) -> torch.Tensor:
    return level * torch.sin(2.0 * math.pi * hertz * torch.arange(16_000) / 16_000)[None]


def test_each_band_gets_the_energy_of_the_original() -> None:
    original = tone(500, 0.2) + tone(3_000, 0.01)
    decoded = tone(500, 0.1) + tone(3_000, 0.08)
    fixed = set_right(decoded, original, 30)
    inside = slice(1_000, 15_000)  # a clip's ends have windows of their own
    assert float((fixed - original)[:, inside].norm() / original[:, inside].norm()) < 0.05


def test_what_is_right_stays_and_so_do_phases() -> None:
    audio = torch.randn(1, 8_000) * 0.05
    assert torch.allclose(set_right(audio, audio, 30), audio, atol=1e-4)
    assert torch.allclose(set_right(-audio, audio, 30), -audio, atol=1e-4)
