"""What goes into the S2S model: conditions of an answer, and batches for training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

UNKNOWN = -1
"""Class index of an emotion, intent, plan or phone that is not known."""


class _Movable:
    """A dataclass of tensors, nested ones and None that moves between devices and picks rows."""

    def to(self, device: torch.device | str) -> Self:
        """The same on `device`."""
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            moved[field.name] = value.to(device) if isinstance(value, Tensor | _Movable) else value
        return type(self)(**moved)


@dataclass
class Conditions(_Movable):
    """How B answers shall sound. Unknown (the learned null): speaker weights 0, emotion -1, scalars NaN."""

    speaker: Tensor
    """float [B, n_speakers], weights of a blend; their sum is 1, or 0 when the speaker is unknown."""
    emotion: Tensor
    """int64 [B]."""
    intensity: Tensor
    """float [B], 0 to 1: how much of the emotion."""
    pitch: Tensor
    """float [B], semitones (about -6 to 6)."""
    energy: Tensor
    """float [B], dB (about -9 to 9)."""
    rate: Tensor
    """float [B], relative speed of speech (about 0.7 to 1.4; 1 is the voice's own)."""
    accent: Tensor
    """float [B], 0 to 1: strength of the regional accent."""

    @classmethod
    def unknown(cls, rows: int, n_speakers: int = 4) -> Conditions:
        """`rows` rows of which nothing is known (all nulls)."""
        nan = torch.full((rows,), torch.nan)
        emotion = torch.full((rows,), UNKNOWN, dtype=torch.int64)
        return cls(torch.zeros(rows, n_speakers), emotion, *(nan.clone() for _ in range(5)))

    @classmethod
    def one(
        cls,
        speaker: int | list[float],
        emotion: int = 0,
        *,
        intensity: float = 1.0,
        pitch: float = 0.0,
        energy: float = 0.0,
        rate: float = 1.0,
        accent: float = 0.0,
        n_speakers: int = 4,
    ) -> Conditions:
        """Conditions of one row: a speaker of the table or blend weights, an emotion and the dials."""
        if isinstance(speaker, int):
            weights = torch.zeros(1, n_speakers)
            weights[0, speaker] = 1.0
        else:
            weights = torch.tensor([speaker], dtype=torch.float32)
            weights = weights / weights.sum().clamp_min(1e-6)
        scalars = (torch.tensor([value], dtype=torch.float32) for value in (intensity, pitch, energy, rate, accent))
        return cls(weights, torch.tensor([emotion]), *scalars)

    @classmethod
    def cat(cls, parts: list[Conditions]) -> Conditions:
        """Rows of all `parts`, in order."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def pick(self, rows: Tensor) -> Conditions:
        """Rows `rows` (int64 [n]) only."""
        return Conditions(**{f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)})

    def hide(self, hidden: Tensor) -> Conditions:
        """Make conditions unknown where `hidden` (bool [B, 7], in the order of the fields) is True."""
        nan = torch.nan
        return Conditions(
            self.speaker.masked_fill(hidden[:, 0, None], 0.0),
            self.emotion.masked_fill(hidden[:, 1], UNKNOWN),
            self.intensity.masked_fill(hidden[:, 2], nan),
            self.pitch.masked_fill(hidden[:, 3], nan),
            self.energy.masked_fill(hidden[:, 4], nan),
            self.rate.masked_fill(hidden[:, 5], nan),
            self.accent.masked_fill(hidden[:, 6], nan),
        )


@dataclass
class Past(_Movable):
    """Earlier turns of a batch, flat: N turns that belong to any of its rows."""

    question: Tensor
    """int64 [N, levels, T], padded with any valid code."""
    question_frames: Tensor
    """int64 [N]; 0 for a side that was silent."""
    answer: Tensor
    """int64 [N, levels, T']."""
    answer_frames: Tensor
    """int64 [N]."""
    row: Tensor
    """int64 [N], the batch row that remembers the turn."""
    age: Tensor
    """int64 [N], 1 for the turn just before the question, up to memory_turns."""


@dataclass
class S2SBatch(_Movable):
    """A padded batch for `S2SModel.forward`. Frames beyond a row's number hold any valid code and have no effect."""

    question: Tensor
    """int64 [B, levels, Tq], Tq >= 1."""
    question_frames: Tensor
    """int64 [B]; 0 for rows without a question (stage `lm`)."""
    answer: Tensor
    """int64 [B, levels, Ta], Ta >= 1."""
    answer_frames: Tensor
    """int64 [B]; the end token is the target after frame answer_frames - 1, so there are Ta + 1 positions."""
    conditions: Conditions
    question_levels: Tensor | None = None
    """int64 [B], 1 to levels: codebooks of the question that are heard (codec-level dropout)."""
    question_keep: Tensor | None = None
    """bool [B, Tq]: False puts the learned mask vector in a frame's place (SpecAugment in time)."""
    question_noise: Tensor | None = None
    """float [B]: deviation of noise added to the question's latents, whose own deviation is about 1."""
    answer_keep: Tensor | None = None
    """bool [B, Ta]: False hides an answer frame from the decoder's input; it is still predicted."""
    unconditional: Tensor | None = None
    """bool [B, 7]: conditions to hide, in the order of the fields of Conditions (classifier-free dropout)."""
    plan: Tensor | None = None
    """int64 [B], id of the answer's text, which the decoder is told; -1 unknown. See `S2SConfig.n_plans`."""
    answer_at: Tensor | None = None
    """int64 [B, Ta], place of each frame in its plan's score; -1 unknown (a row with any unknown has no score)."""
    past: Past | None = None
    depth_frames: Tensor | None = None
    """int64 [M], flat index row * Ta + frame: where levels 1 and up are predicted; None for every frame."""

    @property
    def rows(self) -> int:
        return self.question.shape[0]


@dataclass
class S2SOutput:
    """Logits of a training pass; targets and losses are the trainer's."""

    first: Tensor
    """[B, Ta + 1, codebook_size + 1], level 0; class codebook_size ends the answer."""
    deeper: Tensor
    """[M, levels - 1, codebook_size], levels 1 and up at `depth_frames`."""
    ctc: Tensor
    """[B, 2 Tq, n_phones + 1], two steps per question frame; the blank is the last class."""
    phones: Tensor
    """[B, Ta + 1, n_phones], phone of the answer frame that a position predicts."""
    intent: Tensor | None
    """[B, n_intents] from the question alone; None without intents."""
    plan: Tensor | None
    """[B, n_plans] from question and memory; None without plans."""
    advance: Tensor | None
    """[B, Ta + 1, 4]: how far the pointer moves after the frame that a position predicts, 0 to 3 phones
    (`ml.s2s.score.advance_targets`); None without scores."""
