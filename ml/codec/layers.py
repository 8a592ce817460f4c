"""Building blocks: Snake, causal convolution over frames, residual unit.

Tensors are `[batch, time, channels]`. A convolution is computed as one matrix product over its unfolded taps: it runs
at the speed of the matrix units forward and backward, and at a handful of frames per call it spares the weight
reordering of the convolution kernels.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Set
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from ml.codec.streaming import StreamState


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    sine = torch.sin(x * alpha)
    return x + sine * sine / alpha


def _snake_slopes(grad: Tensor, x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    angle = x * (2.0 * alpha)
    sine = torch.sin(angle)
    # d/da (sin²(ax)/a) = (x sin(2ax) - sin²(ax)/a) / a, and sin² = (1 - cos(2ax)) / 2
    per_alpha = (x * sine - (1.0 - torch.cos(angle)) / (2.0 * alpha)) / alpha * grad
    return grad * (sine + 1.0), per_alpha.sum(dim=tuple(range(x.dim() - 1)))


class _SnakeKernels:
    """Snake's two directions, as they are or fused by torch.compile (four times faster on a CPU core)."""

    forward = staticmethod(_snake)
    backward = staticmethod(_snake_slopes)


def fuse_activations() -> bool:
    """Compile Snake for training; False, and nothing changed, where there is no C++ compiler for it."""
    if not (shutil.which("g++") or shutil.which("clang++")):
        return False
    _SnakeKernels.forward = staticmethod(torch.compile(_snake))
    _SnakeKernels.backward = staticmethod(torch.compile(_snake_slopes))
    return True


class _SnakeFunction(torch.autograd.Function):
    """x + sin²(a x) / a with a backward that keeps two tensors instead of five."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha)
        return _SnakeKernels.forward(x, alpha)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha = ctx.saved_tensors  # type: ignore[attr-defined]
        return _SnakeKernels.backward(grad, x, alpha)


class Snake(nn.Module):
    """Periodic activation x + sin²(a x) / a, one learned a per channel (Ziyin et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(channels))
        self.alpha: Tensor | None
        self.register_buffer("alpha", None, persistent=False)

    def freeze(self) -> None:
        """Compute a once for inference; call again after loading other weights."""
        self.alpha = self.log_alpha.detach().exp()

    def forward(self, x: Tensor) -> Tensor:
        if self.alpha is not None:
            return torch.addcdiv(x, torch.sin(x * self.alpha).square_(), self.alpha)
        alpha = self.log_alpha.exp().to(x.dtype)
        if torch.is_grad_enabled():
            return cast(Tensor, _SnakeFunction.apply(x, alpha))  # type: ignore[no-untyped-call]
        return torch.addcdiv(x, torch.sin(x * alpha).square_(), alpha)


class Stateful(nn.Module):
    """A layer that looks back and keeps what it needs in a `StreamState`."""

    def allocate(self, state: StreamState, like: Tensor) -> None:
        """Reserve this layer's look-back in `state`, with dtype and device of `like`."""
        raise NotImplementedError


class CausalConv(Stateful):
    """Weight-normalised causal convolution over time, `[B, T, in] -> [B, T, out]`."""

    def __init__(self, key: str, inputs: int, outputs: int, taps: int, dilation: int = 1) -> None:
        super().__init__()
        self.key = key
        self.inputs = inputs
        self.taps = taps
        self.dilation = dilation
        self.context = (taps - 1) * dilation
        self.linear = weight_norm(nn.Linear(inputs * taps, outputs))

    def allocate(self, state: StreamState, like: Tensor) -> None:
        if self.context:
            state.allocate(self.key, self.context, self.inputs, self.linear.weight)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        if not self.context:
            return self.linear(x)
        time = x.shape[1]
        extended = functional.pad(x, (0, 0, self.context, 0)) if state is None else state.extend(self.key, x)
        unfolded = torch.cat(
            [extended[:, i * self.dilation : i * self.dilation + time] for i in range(self.taps)], dim=-1
        )
        return self.linear(unfolded)


class Level(Stateful):
    """Splits frames `[B, T, hop]` into shape and level: `[B, T, hop + 1]`, frames over their RMS, and its logarithm.

    The RMS is that of the last `taps` frames. Speech spans 60 dB; a quantizer that sees amplitudes as they are makes
    the same error in a whisper as in a shout.
    """

    def __init__(self, key: str, taps: int, floor: float = 1e-3) -> None:
        super().__init__()
        self.key = key
        self.taps = taps
        self.floor = floor

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate(self.key, self.taps - 1, 1, like)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        time = frames.shape[1]
        energy = frames.square().mean(dim=-1, keepdim=True)
        past = functional.pad(energy, (0, 0, self.taps - 1, 0)) if state is None else state.extend(self.key, energy)
        total = past[:, :time]
        for tap in range(1, self.taps):
            total = total + past[:, tap : tap + time]
        level = (total / self.taps + self.floor**2).sqrt()
        return torch.cat([frames / level, level.log()], dim=-1)


class ResidualUnit(nn.Module):
    """x + conv1(snake(conv_k(snake(x)))), the DAC residual unit (Kumar et al. 2023) at the frame rate."""

    def __init__(self, key: str, width: int, hidden: int, taps: int, dilation: int) -> None:
        super().__init__()
        self.enter = Snake(width)
        self.mix = CausalConv(f"{key}.mix", width, hidden, taps, dilation)
        self.act = Snake(hidden)
        self.out = CausalConv(f"{key}.out", hidden, width, 1)
        with torch.no_grad():  # start near the identity: deep stacks then train at a high learning rate
            self.out.linear.parametrizations.weight.original0.mul_(0.3)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        # Under autocast the branch is bf16 and the residual stream stays in the precision of x.
        return x + self.out(self.act(self.mix(self.enter(x), state))).to(x.dtype)


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normalised weight by its value, for inference and for shipped files."""
    for child in module.modules():
        if is_parametrized(child, "weight"):
            remove_parametrizations(child, "weight")


def unfolded(tensors: Mapping[str, Tensor], names: Set[str]) -> dict[str, Tensor]:
    """`tensors` of a folded module in the form of one that is to be trained: a folded weight `[out, in]` becomes the
    norm of each of its rows and itself, where `names` has these instead of the weight.
    """
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        parts = f"{name.removesuffix('weight')}parametrizations.weight.original"
        if name not in names and f"{parts}0" in names:
            found[f"{parts}0"] = value.float().norm(dim=1, keepdim=True)
            found[f"{parts}1"] = value.float()
        else:
            found[name] = value
    return found


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `unfolded`: norms and directions of rows become the weights that they stand for."""
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        stem, parameter, part = name.partition(".parametrizations.weight.original")
        if not parameter:
            found[name] = value
        elif part == "1":
            norm = tensors[f"{stem}{parameter}0"].float()
            found[f"{stem}.weight"] = functional.normalize(value.float(), dim=1) * norm
    return found
