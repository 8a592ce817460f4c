"""Spectral front end of the `dialogue` preset: log-mel and low harmonics in, one latent vector per frame out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.config import CodecConfig
from ml.codec.layers import CausalConv, ResidualUnit, Snake, Stateful
from ml.codec.losses import mel_filters
from ml.codec.streaming import StreamState

MEL_WINDOW = 512
"""Samples of the log-mel window (32 ms)."""
PITCH_WINDOW = 1_024
"""Samples of the window that resolves harmonics (64 ms)."""
PITCH_BINS = 56
"""Lowest bins of that window, up to 860 Hz, given as they are: pitch is read off them."""
MEL_BANDS = 80


class SpectralFeatures(Stateful):
    """Samples `[B, F, hop]` to log spectra `[B, F * subframes, features]`, windows end at the newest sample."""

    mel_window: Tensor
    pitch_window: Tensor
    filters: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.block = config.hop // config.subframes
        self.features = MEL_BANDS + PITCH_BINS
        self.register_buffer("mel_window", torch.hann_window(MEL_WINDOW), persistent=False)
        self.register_buffer("pitch_window", torch.hann_window(PITCH_WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(MEL_WINDOW, MEL_BANDS, config.sample_rate), persistent=False)

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate("encoder.samples", PITCH_WINDOW - self.block, 1, like)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        samples = frames.float().reshape(frames.shape[0], -1, 1)
        context = PITCH_WINDOW - self.block
        extended = (
            functional.pad(samples, (0, 0, context, 0)) if state is None else state.extend("encoder.samples", samples)
        )[:, :, 0]
        windows = extended.unfold(-1, PITCH_WINDOW, self.block)
        low = torch.fft.rfft(windows * self.pitch_window)[..., :PITCH_BINS].abs()
        mel = torch.fft.rfft(windows[..., -MEL_WINDOW:] * self.mel_window).abs() @ self.filters
        return torch.cat([(mel + 1e-2).log() - 1.0, (low + 1e-2).log() - 1.0], dim=-1) * 0.5


class SpectralEncoder(nn.Module):
    """Frames of samples `[B, F, hop]` to latent vectors `[B, F, code_dim]`."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.subframes = config.subframes
        fine, width = config.fine_width, config.encoder_width
        self.features = SpectralFeatures(config)
        self.enter = CausalConv("encoder.enter", self.features.features, fine, 1)
        self.fine = nn.ModuleList(
            ResidualUnit(f"encoder.fine{i}", fine, config.fine_hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.encoder_fine_dilations)
        )
        self.down = CausalConv("encoder.down", fine * self.subframes, width, 1)
        self.units = nn.ModuleList(
            ResidualUnit(f"encoder.{i}", width, config.hidden, config.kernel, dilation)
            for i, dilation in enumerate(config.encoder_dilations)
        )
        self.act = Snake(width)
        self.project = CausalConv("encoder.project", width, config.code_dim, 1)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        x = self.enter(self.features(frames, state), state).to(frames.dtype)
        for unit in self.fine:
            x = unit(x, state)
        x = self.down(x.reshape(x.shape[0], frames.shape[1], -1), state).to(frames.dtype)
        for unit in self.units:
            x = unit(x, state)
        return self.project(self.act(x), state)
