"""The score of a planned answer: its phones, along which the decoder walks while it speaks.

A plan is one of the answers that the model knows. Its score is that answer's sequence of phones, pauses included. A
pointer tells where in the score the coming frame is; the decoder sees the score around it, and a head says how far
the pointer moves with each frame. What the decoder learns of a phone it so learns for every answer, and an answer can
neither skip nor repeat nor go on for ever. A model without plans has no score and finds its words by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.s2s.batch import UNKNOWN
from ml.s2s.config import S2SConfig, S2SConfigError

STRIDES = 4
"""Classes of the pointer's move per frame: 0 to 3 phones."""
DWELL = 32
"""Frames on one phone that are told apart."""
_PAD = 255


class Score(nn.Module):
    """Scores of all plans, and what the decoder is told of one at a pointer."""

    table: Tensor

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.score_width
        self.length = config.score_length
        self.n_plans = config.n_plans
        self.register_buffer("table", torch.full((config.n_plans, config.score_length), _PAD, dtype=torch.uint8))
        self.phone = nn.Embedding(config.n_phones + 1, width)  # the last row: beyond the ends
        self.around = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(2))
        self.dwell = nn.Embedding(DWELL, width)
        self.untold = nn.Parameter(torch.zeros(width))
        self.tell = nn.Linear(width, config.decoder_width)

    def fill(self, scores: Sequence[Sequence[int]]) -> None:
        """Take over the phones of every plan. Raises S2SConfigError when they do not fit the configuration."""
        longest = max(len(score) for score in scores)
        if len(scores) != self.n_plans or longest > self.length:
            raise S2SConfigError(
                f"{len(scores)} scores of up to {longest} phones do not fit n_plans {self.n_plans} and score_length "
                f"{self.length}"
            )
        self.table.fill_(_PAD)
        for row, score in enumerate(scores):
            self.table[row, : len(score)] = torch.tensor(list(score), dtype=torch.uint8)

    def read(self, plan: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of plans int64 `[B]` (n_plans: none) as vectors `[B, L, width]`, and their lengths [B]; L is that of
        the longest of them and a little more.
        """
        if not self.length:
            return self.untold.new_zeros(len(plan), 1, self.untold.shape[0]), torch.zeros_like(plan)
        known = plan < self.n_plans
        phones = self.table[plan.clamp_max(self.n_plans - 1)].to(torch.int64)
        there = (phones != _PAD) & known[:, None]
        # What lies more than two phones behind an end reaches nothing before it.
        used = min(self.length, int(there.sum(dim=1).max()) + 2)
        phones, there = phones[:, :used], there[:, :used]
        x = self.phone(torch.where(there, phones, self.phone.num_embeddings - 1))
        for conv in self.around:
            heard = conv(functional.silu(x).transpose(1, 2)).transpose(1, 2)
            x = (x + heard) * there[:, :, None]
        return x, there.sum(dim=1)

    def nearest(self, phones: Sequence[int]) -> tuple[int, int]:
        """The plan whose score, pauses left out, is nearest to `phones`, and their edit distance."""
        from ml.recogniser.decode import edit_distances  # here, since the recogniser brings its captions along

        table = self.table.cpu().numpy()
        scores = [[int(p) for p in row if p not in (0, _PAD)] for row in table]
        distances = edit_distances(list(phones), scores)
        best = int(distances.argmin())
        return best, int(distances[best])

    def at(self, vectors: Tensor, pointer: Tensor, dwell: Tensor) -> Tensor:
        """What the decoder is told: vectors `[B, L, width]` at pointers int64 `[B, T]` (-1: nothing), where it has
        been for `dwell` frames, to `[B, T, decoder_width]`.
        """
        picked = vectors.gather(1, pointer.clamp_min(0)[:, :, None].expand(-1, -1, vectors.shape[2]))
        told = picked + self.dwell(dwell.clamp_max(DWELL - 1))
        return self.tell(torch.where((pointer >= 0)[:, :, None], told, self.untold.to(told.dtype)))


def dwell_of(pointer: Tensor) -> Tensor:
    """For how many frames the pointer `[B, T]` has been where it is, 0 at the first."""
    at = torch.arange(pointer.shape[1], device=pointer.device).expand_as(pointer)
    moved = functional.pad(pointer[:, 1:] != pointer[:, :-1], (1, 0), value=True)
    return at - torch.where(moved, at, 0).cummax(dim=1).values


def advance_targets(answer_at: Tensor, answer_frames: Tensor) -> Tensor:
    """How far the pointer moves after each frame, int64 `[B, Ta + 1]` for `S2SOutput.advance`; -100 where unknown."""
    time = answer_at.shape[1]
    moves = (answer_at[:, 1:] - answer_at[:, :-1]).clamp(0, STRIDES - 1)
    at = torch.arange(time - 1, device=answer_at.device)
    known = (answer_at[:, 1:] > UNKNOWN) & (answer_at[:, :-1] > UNKNOWN) & (at + 1 < answer_frames[:, None])
    return functional.pad(torch.where(known, moves, -100), (0, 2), value=-100)
