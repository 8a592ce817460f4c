"""The shape that the S2S model is measured against: 6 + 6 layers, 512 wide, 8 heads, 72 M, a step per 5 ms of speech.

Plain on purpose: torch's encoder layers over the whole question once it is over, and a decoder with a key-value cache.
Only its speed is of interest; it is never trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE_HZ = 200.0
_WIDTH, _HEADS, _LAYERS, _LEVELS, _CODES = 512, 8, 6, 8, 1_024
_HIDDEN = 3_328  # feed-forward width with which the whole comes to 72 M parameters


class _Layer(nn.Module):
    """Pre-norm decoder layer: self-attention with a cache, cross-attention, feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(3))
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.out = nn.Linear(_WIDTH, _WIDTH)
        self.query = nn.Linear(_WIDTH, _WIDTH)
        self.memory = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.cross_out = nn.Linear(_WIDTH, _WIDTH)
        self.think = nn.Sequential(nn.Linear(_WIDTH, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, _WIDTH))

    def forward(self, x: Tensor, cross: tuple[Tensor, Tensor], cache: list[Tensor]) -> Tensor:
        q, k, v = (_heads(part) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        cache[:] = [torch.cat([old, new], dim=2) for old, new in zip(cache, (k, v), strict=True)] if cache else [k, v]
        x = x + self.out(_merge(functional.scaled_dot_product_attention(q, cache[0], cache[1])))
        q = _heads(self.query(self.norms[1](x)))
        x = x + self.cross_out(_merge(functional.scaled_dot_product_attention(q, *cross)))
        return x + self.think(self.norms[2](x))


class ReferenceModel(nn.Module):
    """`answer(question codes [1, 8, F], steps)` yields after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.question = nn.Embedding(_LEVELS * _CODES, _WIDTH)
        self.answer = nn.Embedding(_LEVELS * _CODES, _WIDTH)
        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(_WIDTH, _HEADS, _HIDDEN, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(_LAYERS)
        )
        self.decoder = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.out = nn.Linear(_WIDTH, _LEVELS * _CODES)
        self.register_buffer("offsets", torch.arange(_LEVELS)[:, None] * _CODES)

    offsets: Tensor

    def listen(self, codes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Whole question, int64 `[B, 8, F]`, to keys and values of each decoder layer."""
        x = self.question(codes + self.offsets).sum(dim=1)
        for layer in self.encoder:
            x = layer(x)
        found = []
        for layer in self.decoder:
            k, v = layer.memory(x).chunk(2, dim=-1)  # type: ignore[operator]
            found.append((_heads(k), _heads(v)))
        return found

    def step(self, codes: Tensor, cross: list[tuple[Tensor, Tensor]], caches: list[list[Tensor]]) -> Tensor:
        """Codes of the frame before, int64 `[B, 8]`, to the likeliest next ones."""
        x = self.answer(codes[:, :, None] + self.offsets).sum(dim=1)
        for layer, memory, cache in zip(self.decoder, cross, caches, strict=True):
            x = layer(x, memory, cache)
        return self.out(self.norm(x)).view(-1, _LEVELS, _CODES).argmax(dim=-1)


def _heads(x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], _HEADS, -1).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
