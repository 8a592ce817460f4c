"""Conditions of an answer as one vector, and the modulation of every decoder layer by it (AdaLN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.s2s.batch import Conditions
from ml.s2s.config import S2SConfig

_SCALES = (1.0 / 6.0, 1.0 / 9.0, 3.0, 1.0)  # pitch in semitones, energy in dB, log rate, accent: to about -1..1


class Style(nn.Module):
    """Speaker blend, emotion with intensity and the four dials, with a learned null for each that is unknown; and
    the plan. Together they scale and shift the norms of every layer.
    """

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.condition_width
        self.layers = config.decoder_layers
        self.speaker = nn.Parameter(torch.randn(config.n_speakers + 1, width) * 0.5)  # the last row is the null
        self.emotion = nn.Parameter(torch.randn(config.n_emotions + 1, width) * 0.5)
        self.intensity = nn.Parameter(torch.ones(()))  # taken for an unknown intensity
        self.dials = nn.Parameter(torch.randn(4, width) * 0.5)
        self.no_dials = nn.Parameter(torch.zeros(4, width))
        self.plans = nn.Embedding(config.n_plans + 1, width)  # the last row: not told
        self.mix = nn.Linear(2 * width, width)
        self.modulate = nn.Linear(width, config.decoder_layers * 4 * config.decoder_width)
        nn.init.normal_(self.modulate.weight, std=0.02)
        nn.init.zeros_(self.modulate.bias)

    @torch.no_grad()
    def strengthen(self, emotion: int, factor: float) -> None:
        """Move an emotion further from neutral (`factor` above 1) or nearer to it: what intensity 1 means then."""
        self.emotion[emotion] = self.emotion[0] + factor * (self.emotion[emotion] - self.emotion[0])

    def forward(self, conditions: Conditions, plan: Tensor) -> Tensor:
        """Scale and shift of both norms of each layer, `[B, layers, 4, decoder_width]`, for the conditions and a
        plan int64 `[B]` (n_plans: not told).
        """
        weights = conditions.speaker.to(self.speaker.dtype)
        blend = torch.cat([weights, 1.0 - weights.sum(dim=1, keepdim=True)], dim=1)
        known = conditions.emotion >= 0
        emotion = torch.where(known, conditions.emotion, self.emotion.shape[0] - 1)
        intensity = torch.where(conditions.intensity.isnan(), self.intensity, conditions.intensity.nan_to_num())
        strength = torch.where(known, intensity, 1.0)[:, None].to(self.emotion.dtype)
        raw = torch.stack(
            [conditions.pitch, conditions.energy, conditions.rate.clamp(0.25, 4.0).log(), conditions.accent], dim=1
        )
        values = (raw * raw.new_tensor(_SCALES)).to(self.dials.dtype)[:, :, None]
        dials = torch.where(values.isnan(), self.no_dials, values.nan_to_num() * self.dials).sum(dim=1)
        neutral = self.emotion[0]  # intensity 0 of any emotion
        style = blend @ self.speaker + neutral + strength * (self.emotion[emotion] - neutral) + dials
        mixed = functional.silu(self.mix(torch.cat([style, self.plans(plan)], dim=1)))
        return self.modulate(mixed).unflatten(1, (self.layers, 4, -1))
