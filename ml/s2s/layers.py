"""Building blocks of the S2S model: attention, rotary positions, feed-forward, causal depthwise convolution.

Tensors are `[batch, time, channels]`. The residual stream stays fp32 under autocast, branches are bf16.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.streaming import StreamState

_MASKED = -30_000.0  # representable in fp16, and exp() of it is zero


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False, scale: float | None = None
) -> Tensor:
    """Scaled dot-product attention of `[B, H, T, D]` over `[B, H, N, D]`.

    `mask` is bool, True where a query may look, broadcastable to `[B, H, T, N]`; `scale` is 1 / sqrt(D) when None.
    torch's kernels do it, except in bf16 on a CPU: there their forward and backward took 63 ms for 32 x 4 heads x 100
    frames, three matrix products on AMX 19 ms.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        if scale != 1.0:
            q = q * (1.0 / math.sqrt(q.shape[-1]) if scale is None else scale)
        scores = torch.matmul(q, k.transpose(-1, -2))
        if causal:
            mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        if mask is not None:
            scores = scores + torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, _MASKED)
        return torch.matmul(scores.softmax(-1), v)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)


class Rotation:
    """Rotary position embedding (Su et al. 2021) of queries and keys of `n_heads` heads of `dim` channels.

    A projection gives the real parts of all queries, then of all keys, then their imaginary parts in the same order:
    turning them is four products over long rows. What `scale` of the attention would do is in the factors.
    """

    def __init__(self, positions: Tensor, n_heads: int, dim: int, dtype: torch.dtype) -> None:
        """`positions` `[T]`, or `[B, T]` for rows out of step."""
        self.n_heads = n_heads
        rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10_000.0) / dim))
        angles = (positions[..., None].to(torch.float64) * rates).repeat(*[1] * positions.dim(), 2 * n_heads)
        self.cos = (angles.cos() * dim**-0.25).to(dtype)
        self.sin = (angles.sin() * dim**-0.25).to(dtype)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, T, 2 n_heads dim]` to queries and keys `[B, n_heads, T, dim]`, for attention with scale 1."""
        real, imaginary = x.chunk(2, dim=-1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        turned = (
            torch.addcmul(real * cos, imaginary, sin, value=-1.0),
            torch.addcmul(imaginary * cos, real, sin),
        )
        shape = (*x.shape[:2], 2, self.n_heads, x.shape[2] // (4 * self.n_heads))
        parts = [part.view(shape).permute(2, 0, 3, 1, 4) for part in turned]
        q, k = torch.cat(parts, dim=-1).unbind(0)
        return q, k


def heads(x: Tensor, n: int) -> Tensor:
    """`[B, T, n * D]` to `[B, n, T, D]`."""
    batch, time, width = x.shape
    return x.view(batch, time, n, width // n).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    """`[B, n, T, D]` to `[B, T, n * D]`."""
    batch, n, time, dim = x.shape
    return x.transpose(1, 2).reshape(batch, time, n * dim)


def drop(x: Tensor, p: float) -> Tensor:
    """Dropout of whole channels of a row (Gal and Ghahramani 2016): a mask per element cost 4 % of a step."""
    keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= p
    return x * (keep / (1.0 - p)).to(x.dtype)


class FeedForward(nn.Module):
    """Two linear layers with SiLU between them (in bf16 on a CPU half the price of GELU's tanh form)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, width)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(functional.silu(self.enter(x)))


class DepthwiseConv(nn.Module):
    """Depthwise convolution over time, `[B, T, C] -> [B, T, C]`: causal, with its look-back in a StreamState, or
    `centred` (an odd number of taps), which sees as much after a frame as before it and does not stream.
    """

    def __init__(self, key: str, width: int, taps: int, centred: bool = False) -> None:
        super().__init__()
        self.key = key
        self.after = taps // 2 if centred else 0
        self.context = taps - 1
        self.width = width
        self.weight = nn.Parameter(torch.randn(width, 1, taps) / math.sqrt(taps))
        self.bias = nn.Parameter(torch.zeros(width))

    def allocate(self, state: StreamState) -> None:
        """Reserve this layer's look-back in `state`."""
        state.allocate(self.key, self.context, self.width, self.weight)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        around = (0, 0, self.context - self.after, self.after)
        extended = functional.pad(x, around) if state is None else state.extend(self.key, x)
        return functional.conv1d(extended.transpose(1, 2), self.weight, self.bias, groups=self.width).transpose(1, 2)


class CrossAttention(nn.Module):
    """Attention of a few query vectors `[B, S, C]` over a memory `[B, N, C]`, pre-norm, with its residual."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width)
        self.memory_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.memory = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """`mask` bool `[B, N]`: which memory vectors there are."""
        q = heads(self.query(self.norm(x)), self.n_heads)
        k, v = (heads(part, self.n_heads) for part in self.memory(self.memory_norm(memory)).chunk(2, dim=-1))
        return x + self.out(merge(attend(q, k, v, mask[:, None, None, :])))
