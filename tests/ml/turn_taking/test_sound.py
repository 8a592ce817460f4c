"""What is heard in a voice: what of it is the loudspeaker, and whether a phrase sounds finished."""

import numpy as np
import numpy.typing as npt

from ml.turn_taking import EchoGuard, finishedness
from ml.turn_taking.prosody import features

Floats = npt.NDArray[np.float32]


def voice(semitones: list[float], seconds: float, fade_db: float = 0.0) -> Floats:
    """A buzz whose pitch runs through ``semitones`` re 120 Hz."""
    n = round(seconds * 16_000)
    pitch = 120 * 2 ** (np.interp(np.arange(n), np.linspace(0, n, len(semitones)), semitones) / 12)
    phase = np.cumsum(pitch) / 16_000
    sound = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 12))
    return (0.1 * sound * 10 ** (np.linspace(0, fade_db, n) / 20)).astype(np.float32)


def explained(mic: Floats, played: Floats) -> float:
    guard = EchoGuard()
    for start in range(0, len(mic) - 319, 320):
        guard.played(played[start : start + 320])
        guard.heard(mic[start : start + 320])
    return guard.explained()


def test_the_loudspeaker_is_known_at_any_delay_and_another_voice_is_not() -> None:
    rng = np.random.default_rng(0)
    played = (voice([0, 4, -2, 5, -4], 2.0) * (1 + 0.5 * rng.standard_normal(32_000))).astype(np.float32)
    for delay in (800, 4_000, 8_000):
        heard = np.concatenate([np.zeros(delay, np.float32), 0.1 * played])[: len(played)]
        heard += (rng.standard_normal(len(heard)) * 1e-4).astype(np.float32)
        assert explained(heard, played) > 0.8
    room = rng.standard_normal(1_600) * np.exp(-np.arange(1_600) / 400)
    assert explained(np.convolve(played, room.astype(np.float32))[: len(played)] * 0.02, played) > 0.6
    other = (voice([7, 3, 9, 4], 2.0) * (1 + 0.5 * rng.standard_normal(32_000))).astype(np.float32)
    assert explained(other, played) < 0.35


def test_silence_is_like_nothing() -> None:
    assert explained(np.zeros(16_000, np.float32), voice([0], 1.0)) == 0.0
    assert explained(voice([0], 1.0), np.zeros(16_000, np.float32)) == 0.0


def test_a_fall_that_fades_sounds_more_finished_than_a_level_that_goes_on() -> None:
    falling = finishedness(voice([2, 2, 1, -3, -5], 1.4, fade_db=-12))
    level = finishedness(voice([0, 0, 1, 2, 2], 1.4))
    assert falling > 0.6 > 0.4 > level


def test_pitch_is_measured_in_semitones() -> None:
    found = features(voice([0, 0, 0, -6], 1.4))
    assert found is not None
    assert -6.5 < found.pitch_st < -2.0
    assert found.final_ms > 1000
    assert features(np.zeros(16_000, np.float32)) is None
    assert finishedness(np.zeros(100, np.float32)) == 0.5
