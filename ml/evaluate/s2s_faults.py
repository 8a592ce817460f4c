"""Inputs that nobody should send and everybody does: the model answers with a fallback, or not at all."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.codec.model import TeluCodec
from ml.evaluate.answers import Asked, answer_all, to_audio
from ml.s2s.batch import Conditions
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling

Audio = NDArray[np.float32]
RATE = 16_000


def odd_inputs(seed: int = 0, long_seconds: float = 60.0) -> dict[str, Audio]:
    """Empty, 50 ms, a minute, silence, noise, clicks, a loud clipped tone and music (a chord progression)."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(4 * RATE) / RATE
    chords = ((220.0, 277.2, 329.6), (246.9, 311.1, 370.0), (196.0, 246.9, 293.7), (220.0, 277.2, 329.6))
    music = np.concatenate(
        [
            sum(np.sin(2 * np.pi * f * k * seconds[:RATE]) / k for f in chord for k in (1, 2, 3))
            * np.exp(-2.0 * seconds[:RATE])
            for chord in chords
        ]
    )
    clicks = np.zeros(2 * RATE)
    clicks[rng.integers(0, 2 * RATE, 12)] = 0.9
    time_axis = np.arange(round(long_seconds * RATE)) / RATE
    voiced = np.sign(np.sin(2 * np.pi * 130.0 * time_axis)) * (np.sin(2 * np.pi * 3.0 * time_axis) > 0)
    inputs: dict[str, Any] = {
        "empty": np.zeros(0),
        "fifty_ms": 0.1 * rng.standard_normal(RATE // 20),
        "long": 0.1 * voiced,
        "silence": np.zeros(2 * RATE),
        "noise": 0.1 * rng.standard_normal(3 * RATE),
        "clicks": clicks,
        "clipped_tone": np.clip(8.0 * np.sin(2 * np.pi * 440.0 * seconds), -1.0, 1.0),
        "music": 0.15 * music,
    }
    return {name: np.asarray(audio, np.float32) for name, audio in inputs.items()}


def measure_faults(
    model: S2SModel, codec: TeluCodec, fallbacks: set[int], *, sampling: Sampling, seed: int, long_seconds: float = 60.0
) -> dict[str, Any]:
    """For each odd input: seconds of answer, whether it ended by itself, and whether a fallback was chosen."""
    found: dict[str, Any] = {}
    conditions = Conditions.one(0, 0, n_speakers=model.config.n_speakers)
    for name, audio in odd_inputs(seed, long_seconds).items():
        codes = np.zeros((model.config.levels, 0), np.uint16)
        if len(audio):
            with torch.inference_mode():
                codes = codec.encode(torch.from_numpy(audio)[None])[0].numpy().astype(np.uint16)
        began = time.monotonic()
        answer = answer_all(model, [Asked(codes, conditions, (), seed)], sampling)[0]
        sound = to_audio(codec, answer.codes)
        silent = not len(sound) or float(np.abs(sound).max()) < 1e-3
        found[name] = {
            "input_seconds": round(len(audio) / RATE, 2),
            "answer_seconds": round(len(sound) / RATE, 2),
            "ended_by_itself": answer.ended,
            "fallback": answer.plan in fallbacks,
            "silent": silent,
            "finite": bool(np.isfinite(sound).all()),
            "took_seconds": round(time.monotonic() - began, 2),
        }
    return found
