"""Many vectors in few bytes: product quantization of an embedding table.

A vector is cut into parts of `PART` values, and of each part the number of the nearest of 256 centroids is kept (Jégou
et al. 2011; for n-gram readers Joulin et al. 2016, "FastText.zip"). The bytes of a table have room for four times as
many buckets then, in which fewer n-grams meet: that gains more than the codes lose, and training the centroids on for
a pass brings most of that back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PART = 4
"""Values that share a centroid."""
CENTROIDS = 256
_SAMPLE, _ROUNDS, _CHUNK = 32_768, 20, 16_384


class QuantisedBag(nn.Module):
    """Weighted sums of a table's rows, as `nn.EmbeddingBag(mode="sum")` makes them, from a quantised table."""

    codes: Tensor

    def __init__(self, rows: int, width: int) -> None:
        """Raises ValueError when `width` is no multiple of `PART`."""
        super().__init__()
        if width % PART:
            raise ValueError(f"vectors of {width} values cannot be cut into parts of {PART}: give a multiple")
        self.register_buffer("codes", torch.zeros(rows, width // PART, dtype=torch.uint8))
        self.centroids = nn.Parameter(torch.zeros(width // PART, CENTROIDS, PART))

    def vectors(self, rows: Tensor) -> Tensor:
        """Vectors `[n, width]` of the rows int64 `[n]`."""
        codes = self.codes[rows].to(torch.int64)
        places = codes + CENTROIDS * torch.arange(codes.shape[1], device=codes.device)
        return functional.embedding(places, self.centroids.flatten(0, 1)).flatten(1)

    def forward(self, flat: Tensor, offsets: Tensor, per_sample_weights: Tensor) -> Tensor:
        """Rows int64 `[n]` end to end, where each bag begins int64 `[b]`, weights `[n]`: sums `[b, width]`."""
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(flat)])])
        bags = torch.repeat_interleave(torch.arange(len(offsets), device=flat.device), ends - offsets)
        vectors = self.vectors(flat) * per_sample_weights[:, None]
        return vectors.new_zeros(len(offsets), vectors.shape[1]).index_add_(0, bags, vectors)


@torch.no_grad()
def quantised(table: Tensor, used: Tensor, seed: int = 0) -> QuantisedBag:
    """`table` `[rows, width]` quantised; centroids are made of the rows that are `used` (bool `[rows]`)."""
    table = table.detach().to(torch.float32)
    bag = QuantisedBag(*table.shape)
    draw = torch.Generator().manual_seed(seed)
    rows = used.nonzero()[:, 0] if used.any() else torch.arange(len(table))
    rows = rows[torch.randperm(len(rows), generator=draw)[:_SAMPLE]]
    for part in range(bag.codes.shape[1]):
        values = table[:, part * PART : (part + 1) * PART].contiguous()
        bag.centroids[part] = _centroids(values[rows], draw)
        for start in range(0, len(values), _CHUNK):
            bag.codes[start : start + _CHUNK, part] = _nearest(values[start : start + _CHUNK], bag.centroids[part])
    return bag


def _nearest(values: Tensor, centroids: Tensor) -> Tensor:
    return (centroids.square().sum(1) - 2.0 * values @ centroids.T).argmin(1).to(torch.uint8)


def _centroids(values: Tensor, draw: torch.Generator) -> Tensor:
    """k-means (Lloyd); a centroid that nothing is near starts anew at a random value."""
    found = values[torch.randint(len(values), (CENTROIDS,), generator=draw)].clone()
    for _ in range(_ROUNDS):
        nearest = _nearest(values, found).to(torch.int64)
        counts = torch.bincount(nearest, minlength=CENTROIDS)
        sums = torch.zeros_like(found).index_add_(0, nearest, values)
        fresh = values[torch.randint(len(values), (CENTROIDS,), generator=draw)]
        found = torch.where(counts[:, None] > 0, sums / counts[:, None].clamp_min(1), fresh)
    return found
