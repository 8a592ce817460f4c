"""Trains how a finished model speaks, and nothing of what it understands: `python -m ml train speaking`.

Encoder, reader, memory, second reading and choice stay as they are, bit for bit: what was measured of them still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ml.s2s.model import S2SModel
from ml.s2s.train.config import S2STrainConfig
from ml.s2s.train.data import Dialogues
from ml.s2s.train.trainer import S2STrainer

SPEAKING = ("style.", "score.", "advance.", "plan_slot.", "decoder.", "depth.", "phone_head.")
"""Prefixes of what speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingConfig(S2STrainConfig):
    """One run of `python -m ml train speaking`: answers in a given voice and manner, some after their questions."""

    name: str = "speaking"
    share_dialogue: float = 0.2
    share_style: float = 0.8
    with_context: float = 0.15
    distracted: float = 0.06
    past_turns: int = 3
    ctc: float = 0.0
    intent: float = 0.0
    plan: float = 0.0
    schedule: str = "wsd"
    steps: int = 1_000_000
    decay_share: float = 0.5
    batch_frames: int = 2_400
    learning_rate: float = 8e-4
    final_learning_rate: float = 8e-6
    warmup_steps: int = 50
    validate_every: int = 200
    average_decay: float = 0.99


class SpeakingTrainer(S2STrainer):
    """One run that starts from `trained`."""

    def __init__(self, config: SpeakingConfig, run: Path, device: str, dialogues: Dialogues, trained: S2SModel) -> None:
        self.trained = trained
        super().__init__(config, run, device, dialogues, trained.books.table, trained.codec_sha256)

    def build(self) -> nn.Module:
        model = S2SModel(self.trained.config)
        for head in ("plan_head", "intent_head"):
            if getattr(self.trained, head) is None:
                setattr(model, head, None)
        model.load_state_dict(self.trained.state_dict())
        model.codec_sha256, model.codebooks_sha256 = self.trained.codec_sha256, self.trained.codebooks_sha256
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(SPEAKING))
        return model


def take_speaking(model: S2SModel, weights: Mapping[str, Tensor]) -> None:
    """Replace what speaks in `model` by that of `weights` (a state dict)."""
    own = {name: value for name, value in weights.items() if name.startswith(SPEAKING)}
    model.load_state_dict(own, strict=False)
