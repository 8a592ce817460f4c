"""The encoder: Conformer blocks (Gulati et al. 2020) that read code frames in chunks while the user speaks.

A frame sees its own chunk and `lookback` frames before it, convolutions are causal: what was read never changes, so
that streaming equals offline and only the last chunk is left to do when the user stops.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ml.codec.streaming import StreamState
from ml.s2s.codebooks import Codebooks
from ml.s2s.config import S2SConfig
from ml.s2s.layers import DepthwiseConv, FeedForward, Rotation, attend, drop, heads, merge


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward."""

    def __init__(self, key: str, config: S2SConfig, centred: bool = False) -> None:
        super().__init__()
        width = config.encoder_width
        self.key = key
        self.width = width
        self.n_heads = config.encoder_heads
        self.dropout = config.dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.before = FeedForward(width, config.encoder_ffn * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.gate = nn.Linear(width, 2 * width)
        self.conv = DepthwiseConv(f"{key}.conv", width, config.conv_taps, centred)
        self.convolved = nn.Linear(width, width)
        self.after = FeedForward(width, config.encoder_ffn * width)
        self.lookback = config.lookback

    def allocate(self, state: StreamState) -> None:
        """Reserve the look-back of attention and convolution in `state`."""
        state.allocate(f"{self.key}.kv", self.lookback, 2 * self.width, self.qkv.weight)
        self.conv.allocate(state)

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout) if self.dropout and self.training else x

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        mask: Tensor,
        state: StreamState | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """`[B, T, C]`; `mask` bool over keys (with the look-back before them, when streaming). `there` bool `[B, T]`
        keeps padding out of a centred convolution.
        """
        x = torch.add(x, self._drop(self.before(self.norms[0](x))), alpha=0.5)
        x = x + self._drop(self._attention(self.norms[1](x), rotation, mask, state))
        gated = functional.glu(self.gate(self.norms[2](x)), dim=-1)
        mixed = self.conv(gated if there is None else gated * there[:, :, None], state)
        x = x + self._drop(self.convolved(functional.silu(mixed)))
        return torch.add(x, self._drop(self.after(self.norms[3](x))), alpha=0.5)

    def _attention(self, x: Tensor, rotation: Rotation, mask: Tensor, state: StreamState | None) -> Tensor:
        both, v = self.qkv(x).split([2 * self.width, self.width], dim=2)
        q, k = rotation(both)
        v = heads(v, self.n_heads)
        if state is not None:
            past = state.extend(f"{self.key}.kv", torch.cat([merge(k), merge(v)], dim=-1))
            k, v = (heads(part, self.n_heads) for part in past.chunk(2, dim=-1))
        return self.attended(merge(attend(q, k, v, mask, scale=1.0)))


class Encoder(nn.Module):
    """Codes `[B, levels, T]` to vectors `[B, T, encoder_width]`, with a phone head whose belief is fed back."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.config = config
        self.enter = nn.Linear(2 * config.code_dim, width)
        self.masked = nn.Parameter(torch.randn(width) * 0.1)
        self.blocks = nn.ModuleList(ConformerBlock(f"encoder.{i}", config) for i in range(config.encoder_layers))
        self.ctc_norm = nn.LayerNorm(width)
        self.ctc = nn.Linear(width, 2 * (config.n_phones + 1))
        self.believed = nn.Linear(2 * (config.n_phones + 1), width)
        self.norm = nn.LayerNorm(width)
        self.checkpointing = False

    def allocate(self, state: StreamState) -> None:
        """Reserve the look-back of every block in `state`."""
        for block in self.blocks:
            block.allocate(state)  # type: ignore[operator]

    def forward(
        self,
        books: Codebooks,
        codes: Tensor,
        frames: Tensor,
        *,
        levels: Tensor | None = None,
        keep: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Offline: codes int64 `[B, levels, T]` of which `frames` [B] are true, to vectors `[B, T, C]` and phone
        logits `[B, 2 T, n_phones + 1]`. `levels`, `keep` and `noise` as in `S2SBatch`.
        """
        config, time, device = self.config, codes.shape[2], codes.device
        features = books.features(codes, levels)
        if noise is not None:
            features = features + torch.randn_like(features) * noise[:, None, None]
        x = self.enter(features).to(features.dtype)
        if keep is not None:
            x = torch.where(keep[:, :, None], x, self.masked)
        at = torch.arange(time, device=device)
        chunk = at // config.chunk
        seen = (chunk[None] <= chunk[:, None]) & (at[None] >= (chunk * config.chunk - config.lookback)[:, None])
        mask = seen & (at < frames[:, None])[:, None, :]
        mask = mask | torch.eye(time, dtype=torch.bool, device=device)  # padding sees itself rather than nothing
        return self._run(x, at, mask[:, None], None)

    def stream(
        self, books: Codebooks, codes: Tensor, heard: Tensor, count: Tensor, state: StreamState
    ) -> tuple[Tensor, Tensor]:
        """One chunk of n rows: codes `[n, levels, chunk]` of which `count` [n] frames are true, after `heard` [n]
        frames. Returns vectors and phone logits as `forward`; advances `state` (of n rows).
        """
        config, device = self.config, codes.device
        x = self.enter(books.features(codes)).to(books.table.dtype)
        at = torch.arange(config.chunk, device=device)
        past = torch.arange(config.lookback, device=device) >= config.lookback - heard[:, None]
        mask = torch.cat([past, at < count[:, None]], dim=1)[:, None, None]
        return self._run(x, heard[:, None] + at, mask, state)

    def _run(self, x: Tensor, at: Tensor, mask: Tensor, state: StreamState | None) -> tuple[Tensor, Tensor]:
        config = self.config
        rotation = Rotation(at, config.encoder_heads, config.encoder_width // config.encoder_heads, x.dtype)
        phones = x
        for i, block in enumerate(self.blocks):
            if self.checkpointing and self.training:
                x = checkpoint(block, x, rotation, mask, use_reentrant=False)
            else:
                x = block(x, rotation, mask, state)
            if i + 1 == config.ctc_layer:
                phones = self.ctc(self.ctc_norm(x)).to(x.dtype).unflatten(2, (2, config.n_phones + 1))
                x = x + self.believed(phones.softmax(-1).flatten(2))
        return self.norm(x), phones.flatten(1, 2)
