"""The loudness loss sees what PESQ sees, and gradients lead towards less of it."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from ml.codec.loudness import disturbance
from ml.evaluate.metrics import pesq_wb
from ml.evaluate.opus import opus_round_trip


@pytest.fixture(scope="module")
def speech(telugu_speech: np.ndarray) -> np.ndarray:
    return telugu_speech.astype(np.float32) / 32768


def shaped_noise(speech: np.ndarray, snr_db: float, cutoff: float) -> np.ndarray:
    noise = sosfilt(
        butter(4, cutoff, "high", fs=16_000, output="sos"), np.random.default_rng(0).normal(size=speech.size)
    )
    noise *= np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (speech + noise).astype(np.float32)


def opinion(estimate: np.ndarray, target: np.ndarray) -> float:
    return float(disturbance(torch.from_numpy(estimate)[None], torch.from_numpy(target)[None]).mos)


def test_it_orders_and_scales_as_pesq_does(speech: np.ndarray) -> None:
    made = [opus_round_trip(speech, kbps)[0] for kbps in (6, 9, 12, 16, 24)]
    made += [shaped_noise(speech, snr, cutoff) for snr in (5, 15, 25, 35) for cutoff in (300, 3_000)]
    ours = [opinion(m, speech) for m in made]
    theirs = [pesq_wb(speech, m) or 0.0 for m in made]
    assert np.corrcoef(np.array([ours, theirs]))[0, 1] > 0.9
    assert np.abs(np.array(ours) - np.array(theirs)).mean() < 0.6


def test_nothing_is_heard_of_no_difference_nor_of_loudness_alone(speech: np.ndarray) -> None:
    target = torch.from_numpy(speech)[None]
    assert float(disturbance(target, target).loss) < 0.01
    assert float(disturbance(target * 0.5, target).loss) < 0.05
    assert float(disturbance(target + 0.02 * torch.randn_like(target), target).loss) > 0.5


def test_silence_has_finite_gradients() -> None:
    estimate = torch.zeros(2, 8_000, requires_grad=True)
    disturbance(estimate, torch.zeros(2, 8_000)).loss.sum().backward()  # type: ignore[no-untyped-call]
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


def test_descent_makes_noise_less_audible(speech: np.ndarray) -> None:
    target = torch.from_numpy(speech[:16_000])[None]
    noise = torch.from_numpy(shaped_noise(speech[:16_000], 20, 1_000))[None] - target
    noise.requires_grad_(True)
    before = disturbance(target + noise, target).loss.sum()
    optimizer = torch.optim.Adam([noise], lr=5e-4)
    for _ in range(30):
        loss = disturbance(target + noise, target).loss.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(loss.detach()) < 0.8 * float(before.detach())
