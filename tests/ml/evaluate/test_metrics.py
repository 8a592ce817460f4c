"""The yardsticks measure what they say."""

import numpy as np
import pytest

from ml.evaluate import metrics
from ml.evaluate.opus import align, opus_round_trip


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


def test_snr_of_a_known_error(noise: np.ndarray) -> None:
    assert metrics.snr_db(noise, noise * 0.9) == pytest.approx(20.0, abs=1e-3)
    assert metrics.si_snr_db(noise, noise * 0.5) > 60.0


def test_identity_scores_best(telugu_speech: np.ndarray) -> None:
    speech = telugu_speech.astype(np.float32) / 32768
    assert metrics.pesq_wb(speech, speech) == pytest.approx(4.64, abs=0.01)
    assert metrics.stoi_score(speech, speech) == pytest.approx(1.0, abs=1e-3)
    assert metrics.log_mel_distance(speech, speech) == 0.0
    assert metrics.visqol_score(speech, speech) > 4.4


def test_visqol_and_dnsmos_fall_with_noise(telugu_speech: np.ndarray) -> None:
    speech = telugu_speech.astype(np.float32) / 32768
    noisy = speech + (0.05 * np.random.default_rng(0).standard_normal(speech.size)).astype(np.float32)
    assert metrics.visqol_score(speech, noisy) < metrics.visqol_score(speech, speech) - 0.5
    assert metrics.dnsmos_overall(speech, noisy) < metrics.dnsmos_overall(speech, speech)


def test_codebook_statistics_of_known_codes() -> None:
    codes = np.array([[0, 1, 2, 3] * 10, [5] * 40])
    usage, perplexity = metrics.codebook_statistics(codes, 8)
    assert usage == [0.5, 0.125]
    assert perplexity == pytest.approx([4.0, 1.0])


@pytest.mark.parametrize("shift", [-300, 0, 57, 900])
def test_alignment_undoes_a_shift(noise: np.ndarray, shift: int) -> None:
    moved = np.roll(noise, shift)
    back = align(noise, moved)
    inner = slice(1_000, -1_000)
    assert np.allclose(back[inner], noise[inner])


def test_opus_gets_better_with_rate(telugu_speech: np.ndarray) -> None:
    speech = telugu_speech.astype(np.float32) / 32768
    scores = []
    for kbps in (6.0, 24.0):
        decoded, used = opus_round_trip(speech, kbps)
        assert decoded.shape == speech.shape
        assert used == pytest.approx(kbps, rel=0.5)
        scores.append(metrics.snr_db(speech, decoded))
    assert scores[1] > scores[0] + 3.0
