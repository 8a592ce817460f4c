"""How fast the S2S model is: listening, the first token, a frame, for several rows at once; and a reference shape."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ml.s2s.batch import Conditions
from ml.s2s.model import S2SModel
from ml.s2s.reference import RATE_HZ, ReferenceModel
from ml.s2s.sampling import Sampling

_ENDLESS = Sampling(min_frames=1_000_000)


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    milliseconds = 1000.0 * np.asarray(seconds)
    return {f"{name}_p{p}": round(float(np.percentile(milliseconds, p)), 3) for p in (50, 95)}


def _wait(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def s2s_speed(
    model: S2SModel, *, rows: int, question_s: float = 3.0, answer_s: float = 4.0, rounds: int = 5
) -> dict[str, Any]:
    """Turns of `rows` rows in step, each with a full memory.

    `first_token_ms`: from the last question frame to the codes of the first answer frame, when that frame completes a
    chunk of the encoder (the slowest case). `rtf`: computing time of one answer frame of all rows over its duration;
    `listen_rtf` the same for question frames.
    """
    config, device = model.config, model.books.table.device
    every = list(range(rows))
    state = model.streaming_state(rows)
    frames = round(question_s * config.frame_rate / config.chunk) * config.chunk
    steps = min(round(answer_s * config.frame_rate), config.max_frames - 1)
    draw = torch.Generator().manual_seed(0)

    def codes(count: int) -> torch.Tensor:
        return torch.randint(config.codebook_size, (rows, config.levels, count), generator=draw).to(device)

    conditions = Conditions.cat(
        [
            Conditions.one(row % config.n_speakers, row % config.n_emotions, n_speakers=config.n_speakers)
            for row in every
        ]
    )
    for row in every:
        turn = codes(40)[row]
        model.recall(state, row, [(turn, turn)] * config.memory_turns)
    listening: list[float] = []
    first: list[float] = []
    stepping: list[float] = []
    remembering: list[float] = []
    for turn_number in range(-1, rounds):  # one to warm up
        question = codes(frames)
        for at in range(frames):
            began = _wait(device)
            model.listen(question[:, :, at : at + 1], state, every)
            last = _wait(device)
            if turn_number >= 0:
                listening.append(last - began)
        model.begin(state, every, conditions, [turn_number + 1] * rows, _ENDLESS)
        model.step(state, every, _ENDLESS)
        answered = _wait(device)
        for _ in range(steps):
            before = _wait(device)
            model.step(state, every, _ENDLESS)
            if turn_number >= 0:
                stepping.append(_wait(device) - before)
        before = _wait(device)
        model.remember(state, every)
        if turn_number >= 0:
            remembering.append(_wait(device) - before)
            first.append(answered - began)
    frame_s = 1.0 / config.frame_rate
    return {
        "rows": rows,
        **_percentiles("first_token_ms", first),
        **_percentiles("frame_ms", stepping),
        "rtf": round(float(np.mean(stepping)) / frame_s, 4),
        "listen_rtf": round(float(np.mean(listening)) / frame_s, 4),
        **_percentiles("listen_frame_ms", listening),
        **_percentiles("remember_ms", remembering),
    }


@torch.inference_mode()
def reference_speed(device: torch.device, *, question_s: float = 3.0, answer_s: float = 0.5) -> dict[str, Any]:
    """The reference shape: first token after a question of `question_s`, and the real-time factor of its steps."""
    model = ReferenceModel().eval().to(device)
    question = torch.randint(1_024, (1, 8, round(question_s * RATE_HZ)), device=device)
    first: list[float] = []
    stepping: list[float] = []
    for turn_number in range(-1, 2):
        began = _wait(device)
        cross = model.listen(question)
        caches: list[list[torch.Tensor]] = [[] for _ in cross]
        codes = model.step(question[:, :, 0], cross, caches)
        answered = _wait(device)
        for _ in range(round(answer_s * RATE_HZ)):
            before = _wait(device)
            codes = model.step(codes, cross, caches)
            if turn_number >= 0:
                stepping.append(_wait(device) - before)
        if turn_number >= 0:
            first.append(answered - began)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "frame_rate": RATE_HZ,
        "question_s": question_s,
        **_percentiles("first_token_ms", first),
        **_percentiles("frame_ms", stepping),
        "rtf": round(float(np.mean(stepping)) * RATE_HZ, 3),
    }
