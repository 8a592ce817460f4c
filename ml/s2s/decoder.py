"""The decoder: a causal Transformer over answer frames that looks at the question, its summary and the memory.

A block runs self- and cross-attention side by side on one normed input (one product makes all queries, keys and
values), then the feed-forward layer; both norms are modulated by the answer's conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ml.s2s.codebooks import Codebooks
from ml.s2s.config import S2SConfig
from ml.s2s.layers import FeedForward, Rotation, attend, heads, merge


@dataclass
class Caches:
    """Keys and values of all rows, `[rows, layers, heads, positions, dim]`: a ring for the answer's own frames, and
    what the decoder looks at, from position 0 on.
    """

    keys: Tensor
    values: Tensor
    cross_keys: Tensor
    cross_values: Tensor

    def sights(self, rows: list[int], filled: list[int], there: list[int]) -> list[list[tuple[Tensor, ...]]]:
        """What each of `rows` looks at in each layer: keys and values of its ring, then of its memory, as views.

        Cut once a frame: a view costs as much as a small product, and there are hundreds of them.
        """
        every = []
        for row, n, m in zip(rows, filled, there, strict=True):
            parts = (
                (self.keys, n),
                (self.values, n),
                (self.cross_keys, m),
                (self.cross_values, m),
            )
            views = [part[row : row + 1, :, :, :count].unbind(1) for part, count in parts]
            every.append(list(zip(*views, strict=True)))
        return every

    def places(self, rows: list[int], slots: list[int]) -> list[list[Tensor]]:
        """Where each layer writes its new keys, then its new values, of each of `rows`: `[heads, 1, dim]` views."""
        views = [
            part[row, :, :, slot : slot + 1].unbind(0)
            for part in (self.keys, self.values)
            for row, slot in zip(rows, slots, strict=True)
        ]
        return [list(layer) for layer in zip(*views, strict=True)]


def look(q: Tensor, cross_q: Tensor, sights: list[tuple[Tensor, ...]]) -> Tensor:
    """One query `[n, heads, 1, dim]` of each row over its ring and over its memory: `[n, 1, 2 width]`.

    Row by row on views: each has its own length, nothing is copied or masked, and a row's result cannot depend on the
    others.
    """
    out = []
    for own, cross, (k, v, cross_k, cross_v) in zip(torch.split(q, 1), torch.split(cross_q, 1), sights, strict=True):
        out += [attend(own, k, v, scale=1.0), attend(cross, cross_k, cross_v)]
    return torch.cat(out, dim=1).view(len(sights), 1, -1)


class DecoderBlock(nn.Module):
    """Self-attention beside cross-attention, then feed-forward; pre-norm with AdaLN."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.n_heads = config.decoder_heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.enter = nn.Linear(width, 4 * width)  # query, key, value, query of the cross-attention
        self.out = nn.Linear(2 * width, width)
        self.think_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.think = FeedForward(width, config.decoder_ffn * width)

    def split(self, x: Tensor, scale: Tensor, shift: Tensor, rotation: Rotation) -> tuple[Tensor, ...]:
        """Turned query and key, value and cross query, `[B, heads, T, dim]` each."""
        width = x.shape[2]
        parts = self.enter(torch.addcmul(shift, self.norm(x), scale))
        both, v, cross = parts.split([2 * width, width, width], dim=2)
        return (*rotation(both), heads(v, self.n_heads), heads(cross, self.n_heads))

    def finish(self, x: Tensor, attended: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Residuals of both halves; `attended` `[B, T, 2 width]`."""
        x = x + self.out(attended)
        return x + self.think(torch.addcmul(shift, self.think_norm(x), scale))

    def forward(
        self, x: Tensor, modulation: Tensor, rotation: Rotation, k: Tensor, v: Tensor, there: Tensor,
        window: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Whole sequences `[B, T, C]`; `modulation` `[B, 4, C]`, cross keys and values `[B, heads, N, dim]`."""
        scale, shift, think_scale, think_shift = modulation[:, :, None].unbind(1)
        own_q, own_k, own_v, cross_q = self.split(x, 1.0 + scale, shift, rotation)
        own = attend(own_q, own_k, own_v, window, causal=window is None, scale=1.0)
        other = attend(cross_q, k, v, there)
        return self.finish(x, torch.cat([merge(own), merge(other)], dim=2), 1.0 + think_scale, think_shift)


class Decoder(nn.Module):
    """Answer frames so far to hidden vectors `[B, T, decoder_width]`, each of which predicts the next frame."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.config = config
        self.enter = nn.Linear(2 * config.code_dim, width)
        self.first = nn.Embedding(config.codebook_size, width)
        self.start = nn.Parameter(torch.randn(width) * 0.5)
        self.masked = nn.Parameter(torch.randn(width) * 0.1)
        nn.init.normal_(self.first.weight, std=0.5)
        self.cross = nn.Linear(config.encoder_width, config.decoder_layers * 2 * width)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(width)
        self.checkpointing = False

    def embed(self, features: Tensor, first: Tensor) -> Tensor:
        """Input vectors of frames: their features `[B, T, 2 code_dim]` and codes of level 0 `[B, T]`."""
        return self.enter(features).to(features.dtype) + self.first(first)

    def look_at(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Cross keys and values of memory vectors `[B, N, encoder_width]` per layer: `[B, heads, N, dim]` each."""
        # Split, not indexed: the gradient of a split is one concatenation, that of an index a full-size sum.
        parts = self.cross(memory).split(self.config.decoder_width, dim=2)
        each = [heads(part, self.config.decoder_heads) for part in parts]
        return list(zip(each[0::2], each[1::2], strict=True))

    def forward(
        self,
        books: Codebooks,
        answer: Tensor,
        modulation: Tensor,
        memory: Tensor,
        there: Tensor,
        keep: Tensor | None = None,
        told: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing: answer codes int64 `[B, levels, T]` to hidden vectors `[B, T + 1, C]`.

        `modulation` `[B, layers, 4, C]`; `memory` `[B, N, encoder_width]` with `there` bool `[B, N]`; `keep` bool
        `[B, T]` hides frames from the input; `told` `[B, T + 1, C]` is what the score says at each position.
        """
        config, (rows, _, time), width = self.config, answer.shape, self.config.decoder_width
        x = self.embed(books.features(answer), answer[:, 0])
        if keep is not None:
            x = torch.where(keep[:, :, None], x, self.masked)
        x = torch.cat([self.start.expand(rows, 1, -1), x], dim=1)
        if told is not None:
            x = x + told
        at = torch.arange(time + 1, device=answer.device)
        rotation = Rotation(at, config.decoder_heads, width // config.decoder_heads, x.dtype)
        distance = at[:, None] - at
        window = (distance >= 0) & (distance < config.window) if time + 1 > config.window else None
        mask = there[:, None, None]
        for block, cross, style in zip(self.blocks, self.look_at(memory), modulation.unbind(1), strict=True):
            inputs = (x, style, rotation, *cross, mask, window)
            x = (
                checkpoint(block, *inputs, use_reentrant=False)
                if self.checkpointing and self.training
                else block(*inputs)
            )
        return self.norm(x)

    def step(
        self, x: Tensor, modulation: Tensor, caches: Caches, rows: list[int], at: list[int], there: list[int]
    ) -> Tensor:
        """One frame of each of n rows: inputs `[n, C]` at positions `at` to hidden vectors `[n, C]`; fills caches."""
        config = self.config
        positions = torch.tensor(at, device=x.device)
        dim = config.decoder_width // config.decoder_heads
        rotation = Rotation(positions[:, None], config.decoder_heads, dim, x.dtype)
        sights = caches.sights(rows, [min(position + 1, config.window) for position in at], there)
        places = caches.places(rows, [position % config.window for position in at])
        styles = modulation.transpose(0, 1)[:, :, :, None].unbind(0)
        x = x[:, None]
        for layer, (block, style) in enumerate(zip(self.blocks, styles, strict=True)):
            assert isinstance(block, DecoderBlock)
            scale, shift, think_scale, think_shift = style.unbind(1)
            q, k, v, cross_q = block.split(x, scale, shift, rotation)
            torch._foreach_copy_(places[layer], [*k.unbind(0), *v.unbind(0)])
            attended = look(q, cross_q, [row[layer] for row in sights])
            x = block.finish(x, attended, think_scale, think_shift)
        return self.norm(x)[:, 0]
