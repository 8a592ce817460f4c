"""The depth head: the levels of one frame, each from the decoder's hidden vector and the levels below it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ml.s2s.codebooks import Codebooks
from ml.s2s.config import S2SConfig
from ml.s2s.layers import FeedForward
from ml.s2s.sampling import Sampling, draw


class DepthHead(nn.Module):
    """One small network for all levels, which knows its level by an embedding and its frame so far by the sum of
    the codebook vectors below and the last of them; own output weights per level.
    """

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.depth_width
        self.levels = config.levels
        self.hidden = nn.Linear(config.decoder_width, width)
        self.below = nn.Linear(2 * config.code_dim, width, bias=False)
        self.level = nn.Parameter(torch.randn(config.levels, width) * 0.3)
        self.enter = nn.LayerNorm(width)
        self.think = FeedForward(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, config.codebook_size + 1)
        self.deeper = nn.Parameter(torch.randn(config.levels - 1, config.codebook_size, width) * 0.5 / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(config.levels - 1, 1, config.codebook_size))

    def _mix(self, x: Tensor) -> Tensor:
        return self.norm(x + self.think(self.enter(x)))

    def first_logits(self, hidden: Tensor) -> Tensor:
        """Level 0 and the end token: `[..., decoder_width]` to `[..., codebook_size + 1]`."""
        return self.first(self._mix(self.hidden(hidden).to(self.level.dtype) + self.level[0]))

    def level_logits(self, level: int, hidden: Tensor, below: Tensor) -> Tensor:
        """Level `level` >= 1 of n frames: `hidden` is `self.hidden(...)` `[n, C]`, `below` `[n, 2 code_dim]`."""
        x = self._mix(hidden + self.below(below) + self.level[level])
        return torch.addmm(self.bias[level - 1], x, self.deeper[level - 1].T)

    def generate(
        self, books: Codebooks, hidden: Tensor, uniform: Tensor, sampling: Sampling, may_end: Tensor
    ) -> Tensor:
        """Draw one frame of n rows: hidden `[n, C]`, uniform numbers `[n, levels]` to codes int64 `[n, levels]`.

        Level 0 may be the end token where `may_end` (bool `[n]`) allows it; the other levels then mean nothing.
        """
        enter = self.hidden(hidden)
        first = self.first(self._mix(enter + self.level[0]))
        first[:, -1] = first[:, -1].masked_fill(~may_end, -torch.inf)
        codes = [draw(first, uniform[:, 0], *sampling.at(0))]
        ended = codes[0] == self.first.out_features - 1
        last = books.table[0][codes[0].masked_fill(ended, 0)]
        total = last
        for level in range(1, self.levels):
            logits = self.level_logits(level, enter, torch.cat([total, last], dim=1))
            codes.append(draw(logits, uniform[:, level], *sampling.at(level)))
            last = books.table[level][codes[level]]
            total = total + last
        return torch.stack(codes, dim=1)

    def deeper_logits(self, books: Codebooks, hidden: Tensor, codes: Tensor) -> Tensor:
        """Teacher forcing: hidden `[M, C]` and codes int64 `[M, levels]` to `[M, levels - 1, codebook_size]`."""
        vectors = books.vectors(codes[:, :, None])[:, 0, :-1]
        below = torch.cat([vectors.cumsum(dim=1), vectors], dim=-1).transpose(0, 1)
        x = self._mix(
            self.hidden(hidden).to(self.level.dtype) + self.below(below).to(self.level.dtype) + self.level[1:, None]
        )
        return torch.baddbmm(self.bias, x, self.deeper.transpose(1, 2)).transpose(0, 1)
