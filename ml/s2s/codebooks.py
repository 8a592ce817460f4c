"""The codec's codebooks inside the model: codes become the vectors that the codec itself would decode."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from ml.s2s.config import S2SConfig


def codebooks_sha256(codebooks: Tensor) -> str:
    """Identity of a codec's codes: digest of its codebooks in half precision, in which they ship.

    A codec whose decoder was trained further keeps it: its codes mean what they meant.
    """
    return hashlib.sha256(codebooks.detach().to("cpu", torch.float16).contiguous().numpy().tobytes()).hexdigest()


class Codebooks(nn.Module):
    """Fixed lookups. Learned code embeddings know nothing of codes they seldom saw, as those of an unseen voice;
    the codec's vectors put near codes near each other from the first step.
    """

    table: Tensor

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        self.levels = config.levels
        self.size = config.codebook_size
        table = torch.randn(config.levels, config.codebook_size, config.code_dim)
        self.register_buffer("table", table)
        self.fill(table * 0.7 ** torch.arange(config.levels)[:, None, None])

    def fill(self, codebooks: Tensor) -> None:
        """Take over a codec's codebooks `[levels, size, code_dim]`, scaled so that latents have unit deviation."""
        if codebooks.shape != self.table.shape:
            raise ValueError(f"codebooks must be {tuple(self.table.shape)}, got {tuple(codebooks.shape)}")
        books = codebooks.detach().float()
        books = books - books.mean(dim=1, keepdim=True)
        deviation = books.var(dim=1).sum(dim=0).sqrt().clamp_min(1e-6)
        self.table.copy_(books / deviation)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes int64 `[B, levels, T]` to each level's vectors `[B, T, levels, code_dim]`."""
        offsets = torch.arange(self.levels, device=codes.device) * self.size
        return self.table.flatten(0, 1)[codes.transpose(1, 2) + offsets]

    def features(self, codes: Tensor, levels: Tensor | None = None) -> Tensor:
        """Latent (sum of the first `levels` [B] levels, all when None) and first-level vector: `[B, T, 2 dim]`."""
        vectors = self.vectors(codes)
        first = vectors[:, :, 0]
        if levels is not None:
            heard = torch.arange(self.levels, device=codes.device) < levels[:, None]
            vectors = vectors * heard[:, None, :, None]
        return torch.cat([vectors.sum(dim=2), first], dim=-1)
