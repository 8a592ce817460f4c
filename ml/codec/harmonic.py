"""Harmonic-plus-noise head of the `dialogue` preset: pitch and two spectral envelopes in, waveform out.

At 25 Hz a network cannot carry the phase of a waveform. The head owns it: a pulse train that follows the decoded
pitch and a fixed noise are shaped by decoded envelopes (source and filter, as in DDSP, Engel et al. 2020), with the
minimum phase that belongs to each envelope, so that nothing sounds before its cause.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.config import CodecConfig
from ml.codec.layers import CausalConv, ResidualUnit, Snake, Stateful
from ml.codec.losses import mel_filters
from ml.codec.streaming import StreamState

N_FFT = 512
PITCH_FLOOR, PITCH_CEILING = 60.0, 500.0
"""Range of the fundamental frequency, Hz."""
NOISE_BLOCKS = 4_096
"""Length of the fixed noise in blocks (41 s), after which it repeats."""


def envelope_basis(bands: int, sample_rate: int) -> Tensor:
    """Interpolation from `bands` points, even on the mel scale, to the bins of the FFT: `[bands, N_FFT // 2 + 1]`."""
    filters = mel_filters(N_FFT, bands, sample_rate)  # triangles over bins; their columns interpolate linearly in mel
    basis = filters.clone()
    centres = basis.argmax(dim=0)
    for band in range(bands):  # a triangle narrower than a bin can miss every bin: give it its nearest
        if basis[:, band].max() == 0:
            basis[centres[band], band] = 1.0
    basis[: int(centres[0]) + 1, 0] = 1.0
    basis[int(centres[-1]) :, -1] = 1.0
    return (basis / basis.sum(dim=1, keepdim=True).clamp(min=1e-6)).T.contiguous()


def minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Complex spectra `[..., bins]` of minimum phase from log magnitudes (natural), by folding the cepstrum."""
    cepstrum = torch.fft.irfft(log_magnitude, n=N_FFT)
    folded = torch.cat(
        [
            cepstrum[..., :1],
            2.0 * cepstrum[..., 1 : N_FFT // 2],
            cepstrum[..., N_FFT // 2 : N_FFT // 2 + 1],
            torch.zeros_like(cepstrum[..., N_FFT // 2 + 1 :]),
        ],
        dim=-1,
    )
    return torch.fft.rfft(folded).exp()


def pulses(phase: Tensor, pitch: Tensor, sample_rate: int) -> Tensor:
    """Band-limited pulse train of unit power: sum of all harmonics below 7.8 kHz, in closed form (Dirichlet kernel).

    `phase` in cycles and `pitch` in Hz, both per sample.
    """
    harmonics = torch.floor(7_800.0 / pitch)
    angle = 2.0 * math.pi * phase
    below = 2.0 * torch.sin(0.5 * angle)
    kernel = torch.where(
        below.abs() < 1e-3, harmonics, torch.sin((harmonics + 0.5) * angle) / below.where(below != 0, 1.0) - 0.5
    )
    return kernel * torch.sqrt(2.0 / harmonics)


class HarmonicSynthesis(Stateful):
    """Controls per block to samples. The output lags by one block; envelopes act on windows of two blocks."""

    window: Tensor
    noise: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.sample_rate = config.sample_rate
        self.block = config.hop // config.subframes
        self.pieces = -(-N_FFT // self.block)
        self.register_buffer("window", torch.hann_window(2 * self.block), persistent=False)
        generator = torch.Generator().manual_seed(20_261_121)
        self.register_buffer("noise", torch.randn(NOISE_BLOCKS, self.block, generator=generator), persistent=False)

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate("head.pitch", 1, 1, like.double())
        state.allocate("head.phase", 1, 1, like.double())  # cycles, whole past of the row: fp32 would drift
        state.allocate("head.clock", 1, 1, like.double())  # blocks since the start, chooses the noise
        state.allocate("head.excitation", 1, 2 * self.block, like)
        state.allocate("head.overlap", self.pieces - 1, self.pieces * self.block, like)

    @torch.no_grad()
    def excitation(self, pitch: Tensor, state: StreamState | None) -> Tensor:
        """Pitch `[B, J, 1]` in Hz at each block's end to pulses and noise `[B, J, 2 * block]`."""
        batch, blocks, _ = pitch.shape
        pitch = pitch.double()
        if state is None:
            before = functional.pad(pitch, (0, 0, 1, 0), mode="constant")[:, :blocks]
            before[:, 0] = pitch[:, 0]
            started = pitch.new_zeros(batch, 1, 1, dtype=torch.float64)
            clock = started
        else:
            # The first block of a stream has no pitch before it: it keeps its own.
            known = state.extend("head.pitch", pitch)[:, :blocks]
            before = torch.where(known > 0, known, pitch)
            started, clock = state.buffers["head.phase"].clone(), state.buffers["head.clock"].clone()
        ramp = torch.arange(1, self.block + 1, device=pitch.device, dtype=torch.float64) / self.block
        # Phase inside a block where pitch moves in a line from f0 to f1: f0 t + (f1 - f0) t² / 2
        seconds = self.block / self.sample_rate
        first, last = before, pitch
        inside = seconds * (first * ramp + 0.5 * (last - first) * ramp.square())
        ends = torch.cumsum(inside[..., -1:], dim=1)
        starts = started + ends - inside[..., -1:]
        cycles = torch.remainder(starts + inside, 1.0).float()
        hertz = (first + (last - first) * ramp).float()
        index = clock.long() + torch.arange(blocks, device=pitch.device)[None, :, None]
        if state is not None:
            state.store("head.phase", torch.remainder(started + ends[:, -1:], 1.0))
            state.store("head.clock", torch.remainder(clock + blocks, float(NOISE_BLOCKS)))
        noise = self.noise[index[..., 0] % NOISE_BLOCKS]
        return torch.cat([pulses(cycles, hertz, self.sample_rate), noise], dim=-1)

    def forward(self, pitch: Tensor, harmonic: Tensor, noise: Tensor, state: StreamState | None = None) -> Tensor:
        """Pitch `[B, J, 1]` (Hz) and log magnitudes `[B, J, bins]` of both parts to samples `[B, J, block]`."""
        batch, blocks, _ = pitch.shape
        source = self.excitation(pitch, state)
        extended = (
            functional.pad(source, (0, 0, 1, 0)) if state is None else state.extend("head.excitation", source)
        ).view(batch, blocks + 1, 2, self.block)
        windows = torch.cat([extended[:, :-1], extended[:, 1:]], dim=-1) * self.window  # [B, J, 2, 2 * block]
        spectra = torch.fft.rfft(windows, n=N_FFT)
        filters = minimum_phase(torch.stack([harmonic, noise], dim=2))
        shaped = torch.fft.irfft((spectra * filters).sum(dim=2), n=N_FFT)
        shaped = functional.pad(shaped, (0, self.pieces * self.block - N_FFT))
        overlap = (
            functional.pad(shaped, (0, 0, self.pieces - 1, 0))
            if state is None
            else state.extend("head.overlap", shaped)
        ).view(batch, -1, self.pieces, self.block)
        last = self.pieces - 1
        total = overlap[:, last:, 0]
        for piece in range(1, self.pieces):
            total = total + overlap[:, last - piece : last - piece + blocks, piece]
        return total


class PitchDecoder(nn.Module):
    """Latent vectors `[B, F, code_dim]` to pitch in octaves above `PITCH_FLOOR`, `[B, F * subframes, 1]`.

    It stands apart from the envelopes so that `precise` can run it in double precision: phase adds pitch up, and the
    rounding of single precision, which differs from one way of cutting a stream to another, would be heard as another
    waveform after a minute.
    """

    def __init__(self, config: CodecConfig, width: int = 128) -> None:
        super().__init__()
        self.enter = CausalConv("pitch.enter", config.code_dim, width, 5)
        self.first = Snake(width)
        self.mix = CausalConv("pitch.mix", width, width, 3)
        self.second = Snake(width)
        self.leave = CausalConv("pitch.leave", width, config.subframes, 1)

    def precise(self) -> None:
        """Double precision from here on; call again after loading other weights."""
        self.double()
        for act in (self.first, self.second):
            act.freeze()

    def forward(self, latents: Tensor, state: StreamState | None = None) -> Tensor:
        with torch.autocast(latents.device.type, enabled=False):
            x = self.first(self.enter(latents.to(self.leave.linear.weight.dtype), state))
            x = self.second(self.mix(x, state))
            octaves = torch.sigmoid(self.leave(x, state)) * math.log2(PITCH_CEILING / PITCH_FLOOR)
        return octaves.reshape(latents.shape[0], -1, 1)


class HarmonicDecoder(nn.Module):
    """Latent vectors `[B, F, code_dim]` to frames of samples `[B, F, hop]`."""

    harmonic_basis: Tensor
    noise_basis: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width, fine = config.decoder_width, config.fine_width
        self.subframes = config.subframes
        self.project = CausalConv("decoder.project", config.code_dim, width, 3)
        self.units = nn.ModuleList(
            ResidualUnit(f"decoder.{i}", width, config.hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.decoder_dilations)
        )
        self.up = CausalConv("decoder.up", width, fine * self.subframes, 2)
        self.fine = nn.ModuleList(
            ResidualUnit(f"decoder.fine{i}", fine, config.fine_hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.decoder_fine_dilations)
        )
        self.act = Snake(fine)
        self.bands = (config.harmonic_bands, config.noise_bands)
        self.controls = CausalConv("decoder.controls", fine, sum(self.bands), 1)
        self.pitch = PitchDecoder(config)
        self.synthesis = HarmonicSynthesis(config)
        self.gain = math.log(0.1 * config.input_gain)
        for name, bands in zip(("harmonic_basis", "noise_basis"), self.bands, strict=True):
            self.register_buffer(name, envelope_basis(bands, config.sample_rate), persistent=False)

    def plan(self, latents: Tensor, state: StreamState | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Latents to pitch in octaves above `PITCH_FLOOR` `[B, J, 1]` and log magnitudes `[B, J, bins]` twice."""
        octaves = self.pitch(latents, state)
        x = self.project(latents, state).to(latents.dtype)
        for unit in self.units:
            x = unit(x, state)
        x = self.up(x, state).to(latents.dtype).reshape(x.shape[0], x.shape[1] * self.subframes, -1)
        for unit in self.fine:
            x = unit(x, state)
        controls = self.controls(self.act(x), state).float()
        harmonic, noise = controls.split(self.bands, dim=-1)
        with torch.autocast(latents.device.type, enabled=False):
            return (
                octaves,
                (3.0 * harmonic @ self.harmonic_basis + self.gain - 3.0).clamp(-14.0, 6.0),
                (3.0 * noise @ self.noise_basis + self.gain - 3.0).clamp(-14.0, 6.0),
            )

    def forward(self, latents: Tensor, state: StreamState | None = None) -> Tensor:
        frames, _ = self.render(latents, state)
        return frames

    def render(
        self, latents: Tensor, state: StreamState | None = None, pitch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Frames of samples, and decoded pitch in octaves `[B, J]`; true `pitch` `[B, J]` in Hz (0: unknown) teaches.

        With a pulse train of the true pitch the envelopes learn from the first step on what they are for.
        """
        octaves, harmonic, noise = self.plan(latents, state)
        hertz = PITCH_FLOOR * torch.exp2(octaves.detach())
        if pitch is not None:
            hertz = torch.where(pitch[..., None] > 0, pitch[..., None].clamp(PITCH_FLOOR, PITCH_CEILING), hertz)
        samples = self.synthesis(hertz, harmonic, noise, state)
        return samples.reshape(latents.shape[0], latents.shape[1], -1), octaves[..., 0]
