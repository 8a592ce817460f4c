"""A small causal recogniser: audio to phone probabilities at 50 frames a second, trained with CTC.

Two 25 ms log-mel windows per 20 ms frame, residual units of dilated causal convolutions, one linear layer to the
phones of `ml.data.synthesis` and the blank. It never looks ahead of the frame it has received, so captions can run
while people speak; streaming equals offline.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from ml.codec.layers import CausalConv, ResidualUnit, Snake, Stateful
from ml.codec.streaming import StreamState
from ml.data.synthesis.phones import PHONES
from ml.recogniser.config import RecogniserConfig

BLANK = len(PHONES)
"""Class of CTC's blank; the classes before it are the indices of `PHONES`."""
WINDOW = 400
_FFT = 512


class LogMel(Stateful):
    """Frames of samples `[B, F, hop]` to `[B, F, 2 * mels]`: two windows each, the second ending with the frame."""

    fbank: Tensor
    window: Tensor

    def __init__(self, key: str, config: RecogniserConfig) -> None:
        super().__init__()
        self.key = key
        self.hop = config.hop
        bank = melscale_fbanks(_FFT // 2 + 1, 40.0, 7_800.0, config.mels, config.sample_rate, "slaney", "slaney")
        self.register_buffer("fbank", bank * config.sample_rate / 40.0, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def allocate(self, state: StreamState, like: Tensor) -> None:
        state.allocate(self.key, 1, self.hop, like)

    def forward(self, frames: Tensor, state: StreamState | None = None) -> Tensor:
        extended = functional.pad(frames, (0, 0, 1, 0)) if state is None else state.extend(self.key, frames)
        both = torch.cat([extended[:, :-1], frames], dim=-1)
        start = 2 * self.hop - WINDOW
        windows = torch.stack([both[..., start - self.hop // 2 : -self.hop // 2], both[..., start:]], dim=2)
        power = torch.fft.rfft(windows * self.window, _FFT).abs().square()
        mel = torch.log10(power @ self.fbank + 1e-7)
        return (mel.flatten(2) + 3.0) / 2.0


class PhoneNet(nn.Module):
    """The recogniser's network, see the module."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = LogMel("mel", config)
        self.enter = CausalConv("enter", 2 * config.mels, config.width, 3)
        self.units = nn.ModuleList(
            ResidualUnit(f"unit.{i}", config.width, config.hidden, 3, dilation)
            for i, dilation in enumerate(config.dilations)
        )
        self.act = Snake(config.width)
        self.head = nn.Linear(config.width, BLANK + 1)
        self.aligned_head = nn.Linear(config.width, BLANK)  # in training only

    def features(self, audio: Tensor) -> Tensor:
        """Log-mel of audio `[B, T]`, T padded to whole frames: `[B, F, 2 * mels]`."""
        frames = functional.pad(audio, (0, -audio.shape[1] % self.config.hop))
        return self.mel(frames.view(audio.shape[0], -1, self.config.hop))

    def body(self, features: Tensor, state: StreamState | None = None) -> Tensor:
        """Features to the last hidden layer `[B, F, width]`."""
        x = self.enter(features, state).to(features.dtype)
        for unit in self.units:
            x = unit(x, state)
        return self.act(x)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features to logits of CTC `[B, F, phones + 1]` and of the aligned head `[B, F, phones]`."""
        hidden = self.body(features)
        return self.head(hidden), self.aligned_head(hidden)

    def frames_of(self, samples: int) -> int:
        """Frames that `samples` make."""
        return math.ceil(samples / self.config.hop)

    def streaming_state(self, batch: int) -> StreamState:
        """A zeroed state for `batch` rows."""
        state = StreamState(batch)
        like = next(self.parameters())
        for module in self.modules():
            if isinstance(module, Stateful):
                module.allocate(state, like)
        return state
