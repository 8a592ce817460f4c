"""Residual vector quantization with EMA codebooks (van den Oord et al. 2017; Zeghidour et al. 2021)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class Quantized(NamedTuple):
    """What training needs from one pass."""

    vectors: Tensor  # [B, T, D], straight-through
    codes: Tensor  # int64 [B, Q, T]
    commitment: Tensor  # scalar, unweighted
    first: Tensor  # [B, T, D], the first level alone, straight-through
    whole: Tensor  # bool [B], rows that use every level


class Collective(Protocol):
    """Processes that train one quantizer together (`ml.train.workers.Workers`)."""

    def mean_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""

    def from_first_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by the first process's."""


class ResidualQuantizer(nn.Module):
    """Q codebooks of K vectors in D dimensions; each codes what the ones before it left over."""

    codebooks: Tensor
    counts: Tensor
    sums: Tensor
    ready: Tensor
    offsets: Tensor | None

    def __init__(
        self,
        n_quantizers: int,
        codebook_size: int,
        dim: int,
        *,
        decay: float,
        dropout: float,
        l2_normalize: bool,
        revival: float = 0.02,
        beam: int = 1,
    ) -> None:
        super().__init__()
        self.beam = beam
        self.decay = decay
        self.dropout = dropout
        self.l2_normalize = l2_normalize
        self.collective: Collective | None = None
        self.revival = revival
        shape = (n_quantizers, codebook_size, dim)
        # Random codebooks, shrinking by level, so that an untrained codec is usable in tests.
        scale = 0.7 ** torch.arange(n_quantizers, dtype=torch.float32)[:, None, None]
        self.register_buffer("codebooks", torch.randn(shape) * scale)
        self.register_buffer("counts", torch.ones(shape[:2]))
        self.register_buffer("sums", self.codebooks.clone())
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self.register_buffer("offsets", None, persistent=False)

    @property
    def n_quantizers(self) -> int:
        return self.codebooks.shape[0]

    def freeze(self) -> None:
        """Compute once what the search needs of fixed codebooks; call again after loading others."""
        self.offsets = self.codebooks.square().sum(-1).mul(-0.5)

    def _nearest(self, x: Tensor, level: int) -> Tensor:
        """Indices `[N]` of the nearest entries of codebook `level` for `x` `[N, D]`."""
        book = self.codebooks[level]
        if self.l2_normalize:
            return (functional.normalize(x, dim=-1) @ functional.normalize(book, dim=-1).T).max(dim=-1).indices
        # argmin |x - c|² = argmax x·c - |c|²/2; max() finds an index four times faster than argmax() on a CPU
        offset = book.square().sum(-1).mul(-0.5) if self.offsets is None else self.offsets[level]
        return torch.addmm(offset, x, book.T).max(dim=-1).indices

    def encode(self, x: Tensor) -> Tensor:
        """Vectors `[B, T, D]` to codes int64 `[B, Q, T]`, level by level: the nearest entry, or the best of a beam.

        The last level decides between a beam's sequences, so that a prefix of the codes may be a little worse for it.
        """
        if self.beam > 1 and not self.l2_normalize:
            return self._search(x)
        batch, time, dim = x.shape
        residual = x.reshape(-1, dim)
        codes = []
        for level in range(self.n_quantizers):
            index = self._nearest(residual, level)
            residual = residual - self.codebooks[level][index]
            codes.append(index.view(batch, time))
        return torch.stack(codes, dim=1)

    def _search(self, x: Tensor) -> Tensor:
        """Codes whose sum comes nearest among the `beam` best sequences kept at every level (M-algorithm)."""
        batch, time, dim = x.shape
        residual = x.reshape(-1, 1, dim)  # [N, kept sequences, D]
        codes = torch.empty(residual.shape[0], 1, 0, dtype=torch.int64, device=x.device)
        for level in range(self.n_quantizers):
            book = self.codebooks[level]
            offset = book.square().sum(-1).mul(-0.5) if self.offsets is None else self.offsets[level]
            gain = torch.addmm(offset, residual.reshape(-1, dim), book.T)
            values, entries = gain.topk(min(self.beam, gain.shape[1]), dim=-1)
            # -|r - c|²/2 from what is left, not from a running sum, whose rounding would decide between near sequences
            left = residual.square().sum(-1, keepdim=True).mul(-0.5)
            total = (values.view(*residual.shape[:2], -1) + left).flatten(1)
            best = total.topk(1 if level == self.n_quantizers - 1 else self.beam, dim=1).indices
            entry = entries.view(total.shape).gather(1, best)
            parent = (best // values.shape[1])[..., None]
            residual = residual.gather(1, parent.expand(-1, -1, dim)) - functional.embedding(entry, book)
            codes = torch.cat([codes.gather(1, parent.expand(-1, -1, codes.shape[2])), entry[..., None]], dim=2)
        return codes.view(batch, time, -1).transpose(1, 2)

    def decode(self, codes: Tensor, n_quantizers: int | Tensor | None = None) -> Tensor:
        """Codes `[B, Q' <= Q, T]` to vectors `[B, T, D]`; `n_quantizers` limits the levels, per row if a tensor."""
        batch, levels, _ = codes.shape
        if levels > self.n_quantizers:
            raise ValueError(f"codes have {levels} levels, this codec has {self.n_quantizers}")
        per_row = torch.as_tensor(levels if n_quantizers is None else n_quantizers, device=codes.device).expand(batch)
        total: Tensor | None = None
        for level in range(levels):
            part = functional.embedding(codes[:, level], self.codebooks[level])
            part = part * (per_row > level).to(part.dtype)[:, None, None]
            total = part if total is None else total + part
        assert total is not None
        return total

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Training pass on `[B, T, D]`: straight-through vectors, codes, commitment; updates the EMA codebooks."""
        batch, time, dim = x.shape
        limits = torch.full((batch,), self.n_quantizers, device=x.device)
        whole = torch.ones(batch, dtype=torch.bool, device=x.device)
        if self.training and self.dropout > 0:
            draw = torch.rand(batch, generator=generator, device=x.device) < self.dropout
            some = torch.randint(1, self.n_quantizers + 1, (batch,), generator=generator, device=x.device)
            limits, whole = torch.where(draw, some, limits), ~draw
        residual = x.detach().reshape(-1, dim)
        total = torch.zeros_like(residual)
        commitment = x.new_zeros(())
        codes = []
        flat = x.reshape(-1, dim)
        row_limit = limits.repeat_interleave(time)
        # Who decodes is trained on the codes it will get: the ones that `encode` chooses.
        searched = self.encode(x.detach()) if self.beam > 1 and not self.l2_normalize else None
        for level in range(self.n_quantizers):
            index = self._nearest(residual, level) if searched is None else searched[:, level].reshape(-1)
            chosen = self.codebooks[level][index]
            if self.training:
                self._update(level, residual, index, generator)
            if level == 0:
                first = flat + (chosen - residual)
            live = (row_limit > level).to(x.dtype)[:, None]
            total = total + chosen * live
            residual = residual - chosen
            commitment = commitment + ((flat - total).square() * live).mean()
            codes.append(index.view(batch, time))
        through = x + (total.view_as(x) - x).detach()
        return Quantized(through, torch.stack(codes, 1), commitment / self.n_quantizers, first.view_as(x), whole)

    @torch.no_grad()
    def _update(self, level: int, residual: Tensor, index: Tensor, generator: torch.Generator | None) -> None:
        counts, sums = self.counts[level], self.sums[level]
        counts.mul_(self.decay).index_add_(0, index, residual.new_full(index.shape, 1 - self.decay))
        sums.mul_(self.decay).index_add_(0, index, residual * (1 - self.decay))
        if self.collective is not None:  # averages are linear: their mean is the average over everybody's vectors
            self.collective.mean_([counts, sums])
        # A code that hardly anything chooses moves to where data are (Dhariwal et al. 2020, "random restart").
        dead = counts < self.revival * index.numel() / counts.numel()
        n_dead = int(dead.sum())
        if n_dead:
            pick = torch.randint(residual.shape[0], (n_dead,), generator=generator, device=residual.device)
            moved = residual[pick]
            if self.collective is not None:
                self.collective.from_first_([moved])
            fresh = counts.mean()
            counts[dead] = fresh
            sums[dead] = moved * fresh
        self.codebooks[level] = sums / counts[:, None]

    @torch.no_grad()
    def start(self, vectors: Tensor, iterations: int = 12, generator: torch.Generator | None = None) -> None:
        """K-means start of every level on `vectors` `[N, D]` (Lloyd; N should be at least 8 per entry)."""
        residual = vectors.clone()
        size = self.codebooks.shape[1]
        for level in range(self.n_quantizers):
            pick = torch.randint(residual.shape[0], (size,), generator=generator, device=residual.device)
            self.codebooks[level] = residual[pick]
            for _ in range(iterations):
                index = self._nearest(residual, level)
                counts = torch.bincount(index, minlength=size).to(residual.dtype)
                sums = torch.zeros_like(self.codebooks[level]).index_add_(0, index, residual)
                empty = counts == 0
                again = torch.randint(residual.shape[0], (size,), generator=generator, device=residual.device)
                means = sums / counts.clamp(min=1)[:, None]
                self.codebooks[level] = torch.where(empty[:, None], residual[again], means)
            index = self._nearest(residual, level)
            counts = torch.bincount(index, minlength=size).to(residual.dtype).clamp(min=0.1)
            self.counts[level] = counts / counts.mean() * 3.0  # the scale that a batch of ~3 vectors per entry keeps
            self.sums[level] = self.codebooks[level] * self.counts[level][:, None]
            residual = residual - self.codebooks[level][index]
        self.ready.fill_(True)
