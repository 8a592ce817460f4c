"""`vary`: a clean voice in rooms, in noise and on the telephone. Length and timing stay, so phone labels hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from ml.data.synthesis.colour import active_rms, equalise, filters
from ml.data.synthesis.speech import seeded
from ml.data.synthesis.types import SAMPLE_RATE, Audio

_DECAY = (0.15, 0.7)
"""Seconds in which rooms die away by 60 dB: from a furnished bedroom to a bare kitchen."""
_DIRECT_DB = (-3.0, 12.0)
"""Direct sound above the rest: from two arm's lengths away in a live room to a telephone at the mouth."""


@dataclass(frozen=True)
class Surroundings:
    """What happens to one clip."""

    room: bool
    noise: bool
    snr_db: float
    telephone: bool
    microphone: tuple[tuple[float, float, float], ...]
    """Equaliser of the microphone."""
    level_db: float
    """Active RMS in the end, dBFS."""


def choose(rng: np.random.Generator) -> Surroundings:
    """The everyday mixture: most clips near a microphone in a quiet room, some hard."""
    return Surroundings(
        room=bool(rng.random() < 0.40),
        noise=bool(rng.random() < 0.50),
        snr_db=float(rng.uniform(6.0, 32.0)),
        telephone=bool(rng.random() < 0.12),
        microphone=tuple(
            (float(rng.uniform(low, high)), float(rng.normal(0.0, 2.0)), 0.8)
            for low, high in ((120, 400), (900, 2500), (3500, 7000))
        ),
        level_db=float(rng.uniform(-32.0, -14.0)),
    )


def vary(
    audio: Audio, *, seed: int, noises: Sequence[Audio] | None = None, rooms: Sequence[Audio] | None = None
) -> Audio:
    """``audio`` (float32 [T], 16 kHz) as some microphone hears it; same length, deterministic by ``seed``.

    ``noises`` are recordings, ``rooms`` impulse responses, both 16 kHz float32; without them both are synthesised.
    """
    rng = seeded("vary", seed)
    plan = choose(rng)
    if not len(audio):
        return audio
    heard = audio.astype(np.float32)
    if plan.room:
        response = rooms[int(rng.integers(len(rooms)))] if rooms else synthetic_room(rng)
        seconds, ratio_db = float(rng.uniform(*_DECAY)), float(rng.uniform(*_DIRECT_DB))
        heard = in_room(heard, lived_in(response, seconds, ratio_db))
    if plan.noise:
        noise = _cut(noises[int(rng.integers(len(noises)))], len(heard), rng) if noises else coloured(len(heard), rng)
        heard = with_noise(heard, noise, plan.snr_db)
    heard = equalise(heard, filters(plan.microphone, 0.0, 50.0))
    if plan.telephone:
        heard = telephone(heard)
    rms = active_rms(heard)
    if rms > 1e-6:
        heard = heard * np.float32(10 ** (plan.level_db / 20) / rms)
    return np.clip(heard, -1.0, 1.0).astype(np.float32)


def in_room(audio: Audio, response: Audio) -> Audio:
    """Convolve with an impulse response, whose direct sound is put at time 0; same length."""
    direct, rest = _split(response)
    if abs(float(direct[0])) < 1e-9:
        return audio
    # With its sign: a room recorded upside down keeps the voice's polarity.
    whole = np.concatenate([direct, rest[:SAMPLE_RATE]]) / direct[0]
    return signal.fftconvolve(audio, whole)[: len(audio)].astype(np.float32)


def lived_in(response: Audio, seconds: float, ratio_db: float) -> Audio:
    """An impulse response as that of a place where people talk to a screen: it dies away (by 60 dB) in `seconds` at the
    most, and the direct sound stands `ratio_db` above the rest at the least.

    Recorded responses are mostly of halls and churches, heard from afar (2 to 5 s, -10 to -20 dB); shaping decay and
    ratio apart from each other makes rooms of them (Bryan 2020, "Impulse response data augmentation").
    """
    direct, rest = _split(response)
    own = decay_of(rest)
    if own > seconds:
        rest = rest * np.exp(-6.91 * (1.0 / seconds - 1.0 / own) * np.arange(len(rest)) / SAMPLE_RATE)
    power, wanted = float(np.square(rest).sum()), float(np.square(direct).sum()) * 10 ** (-ratio_db / 10)
    if power > wanted:
        rest = rest * np.sqrt(wanted / power)
    return np.concatenate([direct, rest]).astype(np.float32)


def decay_of(response: Audio) -> float:
    """Seconds in which a response dies away by 60 dB, read off from -5 to -25 dB (Schroeder 1965, ISO 3382); 0 when it
    is too short for that.
    """
    left = np.cumsum(np.square(response, dtype=np.float64)[::-1])[::-1]
    if not len(left) or left[0] <= 0.0:
        return 0.0
    level = 10.0 * np.log10(left / left[0] + 1e-12)
    return 3.0 * float(np.argmax(level < -25.0) - np.argmax(level < -5.0)) / SAMPLE_RATE


def _split(response: Audio) -> tuple[Audio, Audio]:
    """Direct sound (2.5 ms from the peak on) and all that follows."""
    response = np.asarray(response, dtype=np.float32)
    start = int(np.argmax(np.abs(response)))
    return response[start : start + 40], response[start + 40 :]


def synthetic_room(rng: np.random.Generator) -> Audio:
    """An impulse response: direct sound, a few early echoes, an exponential tail of 0.15 to 0.6 s."""
    decay = float(rng.uniform(0.15, 0.6))
    count = int(decay * SAMPLE_RATE)
    tail = rng.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count) * float(rng.uniform(0.02, 0.08))
    tail[: int(0.004 * SAMPLE_RATE)] = 0.0
    for _ in range(6):
        tail[int(rng.uniform(0.002, 0.03) * SAMPLE_RATE)] += float(rng.normal(0.0, 0.3))
    tail[0] = 1.0
    return tail.astype(np.float32)


def coloured(count: int, rng: np.random.Generator) -> Audio:
    """Noise of a random slope between white and brown, swelling slowly, sometimes with mains hum."""
    slope = float(rng.uniform(0.0, 1.0))
    spectrum = np.fft.rfft(rng.standard_normal(count + 1024))
    hertz = np.fft.rfftfreq(count + 1024, 1 / SAMPLE_RATE)
    noise = np.fft.irfft(spectrum / np.maximum(hertz, 40.0) ** slope)[:count]
    seconds = np.arange(count) / SAMPLE_RATE
    noise *= 1.0 + 0.4 * np.sin(2 * np.pi * float(rng.uniform(0.1, 0.8)) * seconds + float(rng.uniform(0, 6.28)))
    noise /= np.sqrt(np.mean(noise**2)) + 1e-9
    if rng.random() < 0.25:
        noise += 0.7 * np.sin(2 * np.pi * 50.0 * seconds) + 0.4 * np.sin(2 * np.pi * 150.0 * seconds)
    return noise.astype(np.float32)


def _cut(noise: Audio, count: int, rng: np.random.Generator) -> Audio:
    """``count`` samples from a random place, repeated where the recording is shorter."""
    noise = np.asarray(noise, dtype=np.float32)
    if len(noise) < count:
        noise = np.tile(noise, count // max(len(noise), 1) + 1)
    start = int(rng.integers(len(noise) - count + 1))
    return noise[start : start + count]


def with_noise(audio: Audio, noise: Audio, snr_db: float) -> Audio:
    """Add ``noise`` so that active speech stands ``snr_db`` above it."""
    power = float(np.sqrt(np.mean(noise.astype(np.float64) ** 2)))
    if power < 1e-9:
        return audio
    return (audio + noise * np.float32(active_rms(audio) / power * 10 ** (-snr_db / 20))).astype(np.float32)


def telephone(audio: Audio) -> Audio:
    """300 to 3400 Hz at 8 kHz through mu-law (ITU-T G.711's curve), back at 16 kHz."""
    band = signal.butter(4, (300.0, 3400.0), "bandpass", fs=SAMPLE_RATE, output="sos")
    narrow = signal.resample_poly(signal.sosfilt(band, audio), 1, 2)
    peak = float(np.max(np.abs(narrow))) or 1.0
    x = np.clip(narrow / peak * 0.9, -1, 1)
    coded = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    plain = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255
    return signal.resample_poly(plain * peak / 0.9, 2, 1)[: len(audio)].astype(np.float32)
