"""Summaries of turns, their memory, and the fusion in which a question looks at what was said before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ml.s2s.config import S2SConfig
from ml.s2s.layers import CrossAttention, FeedForward


class Reader(nn.Module):
    """A few learned queries that sum up one side of a turn: `[B, T, C]` to `[B, S, C]`."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.queries = nn.Parameter(torch.randn(config.summary_slots, width))
        self.nothing = nn.Parameter(torch.randn(width) * 0.1)
        self.attention = CrossAttention(width, config.encoder_heads)
        self.norm = nn.LayerNorm(width)
        self.think = FeedForward(width, 2 * width)
        self.out = nn.LayerNorm(width)

    def forward(self, vectors: Tensor, there: Tensor) -> Tensor:
        """`there` bool `[B, T]`: which frames count. A learned vector stands beside them for the case of none."""
        rows = vectors.shape[0]
        memory = torch.cat([self.nothing.expand(rows, 1, -1).to(vectors.dtype), vectors], dim=1)
        mask = torch.cat([there.new_ones(rows, 1), there], dim=1)
        x = self.attention(self.queries.expand(rows, -1, -1), memory, mask)
        return self.out(x + self.think(self.norm(x)))


class Memory(nn.Module):
    """Marks remembered vectors with their age and side, and lets a summary look at them."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.age = nn.Parameter(torch.randn(config.memory_turns, 1, 1, width) * 0.3)
        self.side = nn.Parameter(torch.randn(2, 1, width) * 0.3)
        self.layers = nn.ModuleList(CrossAttention(width, config.encoder_heads) for _ in range(config.fusion_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.fusion_layers))
        self.thoughts = nn.ModuleList(FeedForward(width, 2 * width) for _ in range(config.fusion_layers))
        self.out = nn.LayerNorm(width)

    def marked(self, vectors: Tensor) -> Tensor:
        """Summaries `[B, turns, 2, S, C]`, newest turn first, to memory vectors `[B, turns * 2 * S, C]`."""
        return (vectors + (self.age + self.side)).flatten(1, 3)

    def forward(self, summary: Tensor, memory: Tensor, there: Tensor) -> Tensor:
        """Summary `[B, S, C]` that has seen the memory `[B, N, C]` where `there` (bool `[B, N]`) is True."""
        x = summary
        mask = torch.cat([there.new_ones(summary.shape[:2]), there], dim=1)
        for layer, norm, think in zip(self.layers, self.norms, self.thoughts, strict=True):
            x = layer(x, torch.cat([x, memory], dim=1), mask)
            x = x + think(norm(x))
        return self.out(x)
