"""What `vary` does to a voice keeps its length and its labels true."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.data.synthesis import vary
from ml.data.synthesis.colour import active_rms
from ml.data.synthesis.surroundings import decay_of, in_room, lived_in, telephone, with_noise
from ml.data.synthesis.types import Audio


@pytest.fixture(scope="module")
def tone() -> Audio:
    seconds = np.arange(16_000) / 16_000
    swell = np.clip(np.sin(2 * np.pi * 3 * seconds), 0, 1)
    return (0.3 * swell * np.sin(2 * np.pi * 300 * seconds)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 20_000))
def test_length_stays_and_nothing_breaks(seed: int, count: int) -> None:
    audio = np.sin(np.arange(count) / 7).astype(np.float32) * 0.2
    heard = vary(audio, seed=seed)
    assert heard.shape == audio.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1.0
    assert np.array_equal(heard, vary(audio, seed=seed))


def test_seeds_give_different_surroundings(tone: Audio) -> None:
    assert len({vary(tone, seed=seed).tobytes() for seed in range(8)}) == 8


def test_noise_stands_where_it_is_put(tone: Audio) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    added = with_noise(tone, noise, 10.0) - tone
    assert 20 * np.log10(active_rms(tone) / np.sqrt(np.mean(added**2))) == pytest.approx(10.0, abs=0.1)


def test_a_room_adds_no_delay(tone: Audio) -> None:
    response = np.zeros(4_000, dtype=np.float32)
    response[500], response[1_500] = -0.8, 0.3  # recorded rooms begin with silence, and may be inverted
    heard = in_room(tone, response)
    assert np.allclose(heard[:1_000], tone[:1_000], atol=1e-5)
    assert np.abs(heard[1_100:] - tone[1_100:]).max() > 0.01


@pytest.mark.parametrize("own", [0.1, 0.4, 2.0])
@pytest.mark.parametrize(("seconds", "ratio_db"), [(0.2, -3.0), (0.7, 12.0)])
@pytest.mark.parametrize("gain", [0.003, 0.1])
def test_a_hall_becomes_a_room_and_a_dry_place_stays(seconds: float, ratio_db: float, own: float, gain: float) -> None:
    count = 48_000
    tail = gain * np.random.default_rng(3).standard_normal(count) * np.exp(-6.91 * np.arange(count) / (own * 16_000))
    response = np.concatenate([np.zeros(100), [1.0], np.zeros(39), tail]).astype(np.float32)
    shaped = lived_in(response, seconds, ratio_db)
    assert decay_of(shaped[40:]) == pytest.approx(min(own, seconds), rel=0.15)
    ratio = 10 * np.log10(1.0 / np.square(shaped[40:]).sum())
    assert ratio >= ratio_db - 0.01
    assert np.allclose(shaped[:40], response[100:140])


def test_nothing_is_no_room() -> None:
    assert decay_of(np.zeros(0, np.float32)) == 0.0
    assert decay_of(np.zeros(100, np.float32)) == 0.0
    assert len(lived_in(np.ones(10, np.float32), 0.3, 5.0)) == 10


def test_the_telephone_carries_its_band_only(tone: Audio) -> None:
    noise = np.random.default_rng(1).standard_normal(32_000).astype(np.float32) * 0.1
    power = np.abs(np.fft.rfft(telephone(noise))) ** 2
    hertz = np.fft.rfftfreq(32_000, 1 / 16_000)
    inside = power[(hertz > 500) & (hertz < 3_000)].mean()
    assert power[hertz > 4_300].mean() < 1e-3 * inside
    assert power[hertz < 150].mean() < 1e-2 * inside
