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

import torch
from torch import Tensor, nn

from ml.codec.config import CodecConfig
from ml.codec.layers import CausalConv, ResidualUnit, Snake, Stateful
from ml.codec.quantizer import Quantized, ResidualQuantizer
from ml.codec.streaming import StreamState

_BREAK = 2_000.0  # Hz: bands are about even below and widen in proportion above
_DILATIONS = (1, 2, 4)
_WINDOW = 4  # frames of a window in which energies are measured: 20 ms
_GLIMPSE = 32  # channels in which the decoder's hidden state is seen
_RANGE = 2.0  # gains reach from e^-2 to e^2, 17 dB each way


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
        past = nn.functional.pad(frames, (0, 0, _WINDOW - 1, 0)) if state is None else state.extend(self.key, frames)
        windows = torch.cat([past[:, i : i + time] for i in range(_WINDOW)], dim=-1) * self.window
        power = torch.view_as_real(torch.fft.rfft(windows)).square().sum(-1)
        return 0.25 * torch.log(power @ self.shares + 1e-5)


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
            samples, changes = (nn.functional.pad(x, (0, 0, 1, 0)) for x in (frames, change))
        else:
            samples, changes = state.extend("levels.samples", frames), state.extend("levels.change", change)
        batch, time, hop = frames.shape
        banded = (torch.cat([samples[:, :-1], samples[:, 1:]], dim=-1) @ self.bank).view(batch, time, self.bands, hop)
        before = torch.einsum("btkn,btk->btn", banded, changes[:, :-1] + 1.0)
        after = torch.einsum("btkn,btk->btn", banded, changes[:, 1:] + 1.0)
        return torch.lerp(before, after, self.ramp)


class BandLevels(nn.Module):
    """Encoder and decoder of the last codebook; see the module.

    `hidden` `[B, T, decoder_width]` is what the waveform decoder knows at each frame, part of it of samples to come.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        bands = config.level_bands
        self.heard = Energies("levels.heard", config)
        self.decoded = Energies("levels.decoded", config)
        self.encoder_glimpse = nn.Linear(config.decoder_width, _GLIMPSE)
        self.decoder_glimpse = nn.Linear(config.decoder_width, _GLIMPSE)
        self.encoder = _Net("levels.encoder", 2 * bands + _GLIMPSE, 6, config.level_dim, config)
        self.decoder = _Net("levels.decoder", bands + _GLIMPSE + config.level_dim, 4, bands, config)
        nn.init.zeros_(self.decoder.leave.weight)
        nn.init.zeros_(self.decoder.leave.bias)
        self.filters = BandFilters(config)
        self.quantizer = ResidualQuantizer(
            1,
            config.codebook_size,
            config.level_dim,
            decay=config.ema_decay,
            dropout=0.0,
            l2_normalize=config.l2_normalize,
            revival=config.revival,
        )

    def analyse(self, frames: Tensor, decoded: Tensor, hidden: Tensor, state: StreamState | None = None) -> Tensor:
        """Input frames and what the other codebooks made of it (both `[B, T, hop]`) to latents `[B, T, level_dim]`."""
        levels = torch.cat([self.heard(frames, state), self.decoded(decoded, state)], dim=-1)
        seen = self.encoder_glimpse(hidden).to(levels.dtype)
        return self.encoder(torch.cat([levels, seen], dim=-1), state)

    def correct(
        self, decoded: Tensor, hidden: Tensor, vectors: Tensor, used: Tensor, state: StreamState | None = None
    ) -> Tensor:
        """Decoded frames `[B, T, hop]`, corrected by `vectors` `[B, T, level_dim]` in the rows `used` (bool `[B]`)."""
        levels = self.decoded(decoded, state)
        seen = self.decoder_glimpse(hidden).to(levels.dtype)
        gains = self.decoder(torch.cat([levels, seen, vectors.to(levels.dtype)], dim=-1), state).to(decoded.dtype)
        change = torch.expm1(_RANGE * torch.tanh(gains / _RANGE)) * used.to(decoded.dtype)[:, None, None]
        return self.filters(decoded, change, state)

    def quantize(self, latents: Tensor) -> Quantized:
        """Training pass of the codebook on `[B, T, level_dim]`."""
        return self.quantizer(latents)


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
