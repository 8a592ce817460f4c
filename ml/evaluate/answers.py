"""Many answers at once: questions as codes in, answers as codes and audio out, in batches of independent rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ml.codec.model import TeluCodec
from ml.s2s.batch import Conditions
from ml.s2s.model import S2SModel
from ml.s2s.sampling import Sampling

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Asked:
    """One question, with how it is to be answered."""

    question: Codes
    """[levels, F]."""
    conditions: Conditions
    """Of one row."""
    past: tuple[tuple[Codes, Codes], ...] = ()
    """Earlier turns (question, answer), oldest first."""
    seed: int = 0


@dataclass(frozen=True)
class Answered:
    """One answer."""

    codes: Codes
    """[levels, F]; F is 0 when the model ended at once."""
    plan: int
    """The answer text that the model chose, -1 without a plan head."""
    ended: bool
    """False when the hard limit cut it."""


def answer_all(
    model: S2SModel, asked: Sequence[Asked], sampling: Sampling | None = None, rows: int = 16
) -> list[Answered]:
    """Answers to `asked`, in its order; `rows` at a time, questions of like length together."""
    sampling = sampling or Sampling()
    order = sorted(range(len(asked)), key=lambda i: asked[i].question.shape[1])
    found: dict[int, Answered] = {}
    for start in range(0, len(order), rows):
        part = order[start : start + rows]
        found.update(zip(part, _batch(model, [asked[i] for i in part], sampling), strict=True))
    return [found[i] for i in range(len(asked))]


@torch.inference_mode()
def _batch(model: S2SModel, asked: Sequence[Asked], sampling: Sampling) -> list[Answered]:
    state = model.streaming_state(len(asked))
    for row, one in enumerate(asked):
        if one.past:
            model.recall(state, row, [(_tensor(q), _tensor(a)) for q, a in one.past])
        if one.question.shape[1]:
            model.listen(_tensor(one.question)[None], state, [row])
    going = list(range(len(asked)))
    conditions = Conditions.cat([one.conditions for one in asked])
    model.begin(state, going, conditions, [one.seed for one in asked], sampling)
    plans = [state.rows[row].plan for row in going]
    frames: list[list[torch.Tensor]] = [[] for _ in asked]
    for _ in range(model.config.max_frames):
        codes, ended = model.step(state, going, sampling)
        for i, row in enumerate(going):
            if not ended[i]:
                frames[row].append(codes[i])
        going = [row for row, over in zip(going, ended, strict=True) if not over]
        if not going:
            break
    nothing = np.zeros((model.config.levels, 0), np.uint16)
    spoken = [torch.stack(said, dim=1).cpu().numpy().astype(np.uint16) if said else nothing for said in frames]
    return [Answered(codes, plans[row], row not in going) for row, codes in enumerate(spoken)]


def _tensor(codes: Codes) -> torch.Tensor:
    return torch.from_numpy(codes.astype(np.int64))


@torch.inference_mode()
def to_audio(codec: TeluCodec, codes: Codes) -> NDArray[np.float32]:
    """Audio float32 [T] of codes `[levels, F]`; empty for none."""
    if codes.shape[1] == 0:
        return np.zeros(0, np.float32)
    return codec.decode(_tensor(codes)[None])[0].clamp(-1.0, 1.0).cpu().numpy().astype(np.float32)
