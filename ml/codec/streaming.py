"""Streaming state of causal layers: explicit buffers with a batch axis.

A layer that looks back asks the state for its context and hands it the new frames. Shapes never change and
updates are in place, so that a step can be captured in a CUDA graph. Each row can be reset and can be left
out of a step on its own: people who are out of step share one batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


class StreamState:
    """Context buffers of a set of causal layers, `[batch, context, channels]` each, keyed by layer name."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.buffers: dict[str, Tensor] = {}
        self._mask: Tensor | None = None

    def allocate(self, key: str, context: int, channels: int, like: Tensor) -> None:
        """Add a zeroed buffer for layer `key`, with dtype and device of `like`."""
        self.buffers[key] = torch.zeros(self.batch, context, channels, dtype=like.dtype, device=like.device)

    def step(self, mask: Tensor | None) -> StreamState:
        """Choose the rows (bool `[batch]`, None for all) that the coming step advances; returns self."""
        if mask is not None and (mask.dtype != torch.bool or mask.shape != (self.batch,)):
            raise ValueError(f"mask must be bool of shape ({self.batch},), got {mask.dtype} {tuple(mask.shape)}")
        self._mask = None if mask is None else mask[:, None, None]
        return self

    def extend(self, key: str, x: Tensor) -> Tensor:
        """Put the stored context before `x` `[batch, time, channels]` and remember the newest frames."""
        buffer = self.buffers[key]
        extended = torch.cat([buffer, x], dim=1)
        newest = extended[:, extended.shape[1] - buffer.shape[1] :]
        buffer.copy_(newest if self._mask is None else torch.where(self._mask, newest, buffer))
        return extended

    def store(self, key: str, value: Tensor) -> None:
        """Replace buffer `key` by `value` of its shape, in the rows of the step."""
        buffer = self.buffers[key]
        buffer.copy_(value if self._mask is None else torch.where(self._mask, value, buffer))

    def reset(self, rows: Tensor | None = None) -> None:
        """Forget the past of `rows` (bool `[batch]`; all when None), as at the start of a stream."""
        for buffer in self.buffers.values():
            if rows is None:
                buffer.zero_()
            else:
                buffer.masked_fill_(rows[:, None, None], 0.0)

    def gather(self, rows: Tensor) -> StreamState:
        """A new state that holds copies of `rows` (int64 `[n]`) of this one, in that order."""
        picked = StreamState(rows.shape[0])
        picked.buffers = {key: buffer.index_select(0, rows) for key, buffer in self.buffers.items()}
        return picked

    def scatter(self, rows: Tensor, picked: StreamState) -> None:
        """Write the rows of `picked` back to `rows` (int64 `[n]`) of this state; inverse of `gather`."""
        for key, buffer in self.buffers.items():
            buffer.index_copy_(0, rows, picked.buffers[key])
