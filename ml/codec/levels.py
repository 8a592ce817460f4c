"""Levels of bands: what the last codebook of a codec with `level_bands` carries.

A small waveform codec follows what is loud. Where speech is weak it leaves out or makes up, and the ear, and PESQ,
judge each band by itself: with the energy of thirty bands set right every 8 ms the same waveform codes are worth a
whole point of PESQ more (`python -m ml evaluate levels`). So the encoder decodes what the other codebooks carry,
compares it with the input, and spends the last codebook on by how much each band must be raised or lowered (gain-shape
coding, with a learned gain).

Gains act through a bank of symmetric FIR filters whose sum is a delay of half a hop: with all gains at one nothing
changes, and phases never do. That delay is part of the codec's, not added to it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.config import CodecConfig
from ml.codec.layers import CausalConv, ResidualUnit, Snake, Stateful
from ml.codec.quantizer import Quantized, ResidualQuantizer
from ml.codec.streaming import StreamState

_BREAK = 2_000.0  # Hz: bands are about even below and widen in proportion above
_DILATIONS = (1, 2, 4)
_WINDOW = 4  # frames of a window in which energies are measured: 20 ms
_GLIMPSE = 32  # channels in which the decoder's hidden state is seen
_RANGE = 2.5  # gains reach from e^-2.5 to e^2.5, 22 dB each way


def _centres(bands: int, sample_rate: int) -> Tensor:
    """Centre frequencies in Hz `[bands]`, from 0 to the Nyquist frequency."""
    top = math.log1p(sample_rate / 2.0 / _BREAK)
    return _BREAK * torch.expm1(torch.linspace(0.0, top, bands, dtype=torch.float64))


def band_shares(bands: int, bins: int, sample_rate: int) -> Tensor:
    """Share of each of `bins` frequencies to the Nyquist that belongs to each band, `[bins, bands]`; rows sum to 1."""
    centres = _centres(bands, sample_rate)
    at = torch.linspace(0.0, sample_rate / 2.0, bins, dtype=torch.float64)
    above = torch.searchsorted(centres, at).clamp(1, bands - 1)
    share = ((at - centres[above - 1]) / (centres[above] - centres[above - 1])).clamp(0.0, 1.0)
    shares = torch.zeros(bins, bands, dtype=torch.float64)
    shares.scatter_(1, above[:, None], share[:, None])
    return shares.scatter_add(1, above[:, None] - 1, 1.0 - share[:, None])


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)
def _bank(bands: int, hop: int, sample_rate: int) -> Tensor:
    """Two hops of samples to the second hop's in every band, `[2 * hop, bands * hop]`, half a hop late."""
    bins = 4 * hop + 1
    responses = torch.fft.irfft(band_shares(bands, bins, sample_rate).T, n=2 * (bins - 1))
    window = torch.hann_window(hop + 3, periodic=False, dtype=torch.float64)[1:-1]
    filters = torch.roll(responses, hop // 2, dims=1)[:, : hop + 1] * window  # [bands, hop + 1], their sum one impulse
    bank = torch.zeros(2 * hop, bands, hop, dtype=torch.float64)
    for sample in range(hop):
        bank[sample : sample + hop + 1, :, sample] = filters.flip(1).T
    return bank.view(2 * hop, bands * hop).float()


class Energies(Stateful):
    """Frames `[B, T, hop]` to the log energy in bands of the last 20 ms, `[B, T, bands]`, near unit scale."""

    def __init__(self, key: str, config: CodecConfig) -> None:
        super().__init__()
        self.key = key
        self.hop = config.hop
        size = _WINDOW * config.hop
        shares = band_shares(config.level_bands, size // 2 + 1, config.sample_rate).float()
        self.register_buffer("shares", shares / size, persistent=False)
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.shares: Tensor
        self.window: Tensor

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate(self.key, _WINDOW - 1, self.hop, like)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        time = frames.shape[1]
        past = functional.pad(frames, (0, 0, _WINDOW - 1, 0)) if state is None else state.extend(self.key, frames)
        windows = torch.cat([past[:, i : i + time] for i in range(_WINDOW)], dim=-1) * self.window
        power = torch.view_as_real(torch.fft.rfft(windows)).square().sum(-1)
        return 0.25 * torch.log(power @ self.shares + 1e-7)


class _Net(nn.Module):
    """A few residual units over frames, `[B, T, inputs] -> [B, T, outputs]`."""

    def __init__(self, key: str, inputs: int, taps: int, outputs: int, config: CodecConfig) -> None:
        super().__init__()
        width = config.level_width
        self.enter = CausalConv(f"{key}.enter", inputs, width, taps)
        self.units = nn.ModuleList(
            ResidualUnit(f"{key}.{i}", width, 5 * width // 3, config.kernel, dilation)
            for i, dilation in enumerate(_DILATIONS)
        )
        self.act = Snake(width)
        self.leave = nn.Linear(width, outputs)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        y = self.enter(x, state).to(x.dtype)
        for unit in self.units:
            y = unit(y, state)
        return self.leave(self.act(y))


class BandFilters(Stateful):
    """Frames `[B, T, hop]` with each band multiplied by its gain `[B, T, bands]`, half a hop late.

    Within a frame gains go in a straight line from the last frame's to this one's.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.hop, self.bands = config.hop, config.level_bands
        bank = _bank(config.level_bands, config.hop, config.sample_rate)
        self.register_buffer("bank", bank.clone(), persistent=False)
        self.register_buffer("ramp", torch.arange(1, config.hop + 1) / config.hop, persistent=False)
        self.bank: Tensor
        self.ramp: Tensor

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate("levels.samples", 1, self.hop, like)
        state.allocate("levels.change", 1, self.bands, like)

    def forward(self, frames: Tensor, change: Tensor, state: StreamState | None = None) -> Tensor:
        """`change` is the gain less one, so that a stream begins with nothing changed."""
        if state is None:
            samples, changes = (functional.pad(x, (0, 0, 1, 0)) for x in (frames, change))
        else:
            samples, changes = state.extend("levels.samples", frames), state.extend("levels.change", change)
        batch, time, hop = frames.shape
        banded = (torch.cat([samples[:, :-1], samples[:, 1:]], dim=-1) @ self.bank).view(batch, time, self.bands, hop)
        before = torch.einsum("btkn,btk->btn", banded, changes[:, :-1] + 1.0)
        after = torch.einsum("btkn,btk->btn", banded, changes[:, 1:] + 1.0)
        return torch.lerp(before, after, self.ramp)


class TrackingQuantizer(ResidualQuantizer):
    """One codebook that follows a vector that moves slowly: each code is a step from `leak` times where the last led.

    Levels move more slowly than frames come. Coding each frame by itself would send what is known again and again; this
    spends every code on what has changed, and an error is corrected by the codes after it (predictive vector
    quantization, Cuperman and Gersho 1985).
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(
            1,
            config.codebook_size,
            config.level_bands,
            decay=config.ema_decay,
            dropout=0.0,
            l2_normalize=False,
            revival=config.revival,
        )
        self.leak = config.level_leak
        with torch.no_grad():
            self.codebooks *= 0.3
            self.sums.copy_(self.codebooks)

    def allocate(self, state: StreamState, key: str) -> None:
        """Reserve where the last code led in `state`."""
        state.allocate(key, 1, self.codebooks.shape[-1], self.codebooks)

    def _follow(self, wanted: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From `at` `[B, D]` along `wanted` `[B, T, D]`: codes `[B, T]`, where they led and what was asked of each.

        On a CPU numpy does it: the products are so small that torch's calls take five times as long as they.
        """
        if wanted.device.type == "cpu":
            arrays = self._follow_numpy(*(x.detach().float().numpy() for x in (wanted, at)))
            codes, led, steps = (torch.from_numpy(array) for array in arrays)
            return codes, led, steps
        book = self.codebooks[0]
        rows = []
        for vector in wanted.unbind(1):
            step = torch.sub(vector, at, alpha=self.leak)
            index = self._nearest(step, 0)
            at = torch.add(book[index], at, alpha=self.leak)
            rows.append((index, at, step))
        codes, led, steps = (torch.stack(column, 1) for column in zip(*rows, strict=True))
        return codes, led, steps

    def _follow_numpy(
        self, wanted: NDArray[np.float32], at: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        book = self.codebooks[0].detach().float().numpy()
        columns = np.ascontiguousarray(book.T)
        offset = -0.5 * np.square(book).sum(-1)
        leak = np.float32(self.leak)
        codes = np.empty(wanted.shape[:2], np.int64)
        led, steps = np.empty_like(wanted), np.empty_like(wanted)
        for time in range(wanted.shape[1]):
            step = np.subtract(wanted[:, time], leak * at, out=steps[:, time])
            codes[:, time] = index = (step @ columns + offset).argmax(1)
            at = np.add(book[index], leak * at, out=led[:, time])
        return codes, led, steps

    def track(self, wanted: Tensor, state: StreamState | None = None) -> Tensor:
        """Vectors `[B, T, D]` to codes int64 `[B, 1, T]`."""
        key = "levels.sent"
        at = wanted.new_zeros(wanted.shape[0], wanted.shape[2]) if state is None else state.buffers[key][:, 0]
        codes, led, _ = self._follow(wanted, at)
        if state is not None:
            state.store(key, led[:, -1:])
        return codes[:, None]

    def trace(self, codes: Tensor, state: StreamState | None = None) -> Tensor:
        """Codes int64 `[B, 1, T]` to where they lead, `[B, T, D]`."""
        key = "levels.received"
        steps = functional.embedding(codes[:, 0], self.codebooks[0])
        at = steps.new_zeros(steps.shape[0], steps.shape[2]) if state is None else state.buffers[key][:, 0]
        led = []
        for step in steps.unbind(1):
            at = torch.add(step, at, alpha=self.leak)
            led.append(at)
        if state is not None:
            state.store(key, at[:, None])
        return torch.stack(led, 1)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """As that of `ResidualQuantizer`, along the time of `[B, T, D]`."""
        with torch.no_grad():
            codes, led, steps = self._follow(x, x.new_zeros(x.shape[0], x.shape[2]))
            if self.training:
                self._update(0, steps.flatten(0, 1), codes.flatten(), generator)
        through = x + (led - x).detach()
        whole = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
        return Quantized(through, codes[:, None], (x - led).square().mean(), through, whole)

    def examples(self, latents: Tensor) -> Tensor:
        """What to start the codebook with, `[N, D]`, from what it is to follow, `[B, T, D]`: steps over 1 to 8 frames.

        A code has to make up for the errors of those before it, so that steps of one frame alone would be too short.
        """
        return torch.cat([(latents[:, k:] - self.leak * latents[:, :-k]).flatten(0, 1) for k in (1, 2, 4, 8)])


class BandLevels(Stateful):
    """Encoder and decoder of the last codebook; see the module. Levels are logarithms of gains, `[B, T, bands]`.

    `hidden` `[B, T, decoder_width]` is what the waveform decoder knows at each frame, part of it of samples to come.
    Both networks start at zero: then the levels are those that make the energies of the last 20 ms right.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        bands = self.bands = config.level_bands
        # The newest decoded sample is this many frames and a half behind the newest heard one.
        self.behind = config.delay_frames - 1
        self.heard = Energies("levels.heard", config)
        self.decoded = Energies("levels.decoded", config)
        self.encoder_glimpse = nn.Linear(config.decoder_width, _GLIMPSE)
        self.decoder_glimpse = nn.Linear(config.decoder_width, _GLIMPSE)
        self.encoder = _Net("levels.encoder", 2 * bands + _GLIMPSE, 6, bands, config)
        self.decoder = _Net("levels.decoder", 2 * bands + _GLIMPSE, 4, bands, config)
        for net in (self.encoder, self.decoder):
            nn.init.zeros_(net.leave.weight)
            nn.init.zeros_(net.leave.bias)
        self.filters = BandFilters(config)
        self.quantizer = TrackingQuantizer(config)

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate("levels.before", self.behind + 1, self.bands, like)
        self.quantizer.allocate(state, "levels.sent")
        self.quantizer.allocate(state, "levels.received")

    def analyse(self, frames: Tensor, decoded: Tensor, hidden: Tensor, state: StreamState | None = None) -> Tensor:
        """Input frames and what the other codebooks made of it (both `[B, T, hop]`) to the levels that are wanted."""
        time = frames.shape[1]
        heard, ours = self.heard(frames, state), self.decoded(decoded, state)
        context = self.behind + 1
        past = functional.pad(heard, (0, 0, context, 0)) if state is None else state.extend("levels.before", heard)
        then = 0.5 * (past[:, :time] + past[:, 1 : time + 1])  # half a hop lies between two frames
        missing = (2.0 * (then - ours)).clamp(-_RANGE, _RANGE)
        seen = self.encoder_glimpse(hidden).to(ours.dtype)
        return missing + self.encoder(torch.cat([heard, ours, seen], dim=-1), state)

    def correct(
        self, decoded: Tensor, hidden: Tensor, levels: Tensor, used: Tensor, state: StreamState | None = None
    ) -> Tensor:
        """Decoded frames `[B, T, hop]`, corrected by `levels` in the rows `used` (bool `[B]`)."""
        seen = self.decoder_glimpse(hidden).to(decoded.dtype)
        known = torch.cat([self.decoded(decoded, state), seen, levels.to(decoded.dtype)], dim=-1)
        gains = levels + self.decoder(known, state).to(decoded.dtype)
        change = torch.expm1(_RANGE * torch.tanh(gains / _RANGE)) * used.to(decoded.dtype)[:, None, None]
        return self.filters(decoded, change, state)


def with_room_for_levels(tensors: Mapping[str, Tensor], config: CodecConfig) -> dict[str, Tensor]:
    """Folded weights without `level_bands` for a codec of `config`: half a hop earlier, without the last codebook.

    What the filters delay the overlap-add has to gain. Every frame's share of it begins half a hop earlier; what would
    lie before the frame itself is lost, and training on makes up for it.
    """
    found = dict(tensors)
    hop, taps = config.hop, config.head_taps
    weight, bias = found["decoder.head.linear.weight"].float(), found["decoder.head.linear.bias"].float()
    share = weight.view(hop, taps, -1).flip(1).transpose(0, 1).reshape(taps * hop, -1)  # in the order of its samples
    share = torch.cat([share[hop // 2 :], share.new_zeros(hop // 2, share.shape[1])])
    found["decoder.head.linear.weight"] = share.view(taps, hop, -1).transpose(0, 1).flip(1).reshape(hop, -1)
    found["decoder.head.linear.bias"] = torch.roll(bias, -(hop // 2))
    for name in ("codebooks", "counts", "sums"):
        if (key := f"quantizer.{name}") in found:
            found[key] = found[key][: config.waveform_quantizers]
    return found
