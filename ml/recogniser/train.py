"""Training of the recogniser: `python -m ml train recogniser`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ml.data.synthesis.phones import PHONE_ID
from ml.recogniser.config import RecogniserConfig, RecogniserTrainConfig
from ml.recogniser.data import PhoneBatches, PhonedClip, Surroundings
from ml.recogniser.decode import edit_distance, spoken
from ml.recogniser.model import BLANK, PhoneNet
from ml.recogniser.recogniser import Recogniser, export_recogniser, frozen
from ml.train.checkpoints import ResumeError
from ml.train.loop import LoopTrainer
from ml.train.workers import Workers


class RecogniserTrainer(LoopTrainer[RecogniserTrainConfig]):
    """CTC with frame-wise cross-entropy beside it, on clips that are varied anew in every step."""

    model: PhoneNet

    def __init__(
        self,
        config: RecogniserTrainConfig,
        run: Path,
        device: str,
        clips: list[PhonedClip],
        held_out: list[PhonedClip],
        around: Surroundings,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(config, run, device, workers)
        self.batches = PhoneBatches(clips, around, config, self.model.config.hop)
        self.held_out = held_out

    def build(self) -> nn.Module:
        return PhoneNet(RecogniserConfig.named(self.config.preset))

    def losses(self, step: int) -> dict[str, Tensor]:
        batch = self.batches.batch(step * self.workers.count + self.workers.rank)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            features = self.model.features(batch.audio.to(self.device))
        ctc, aligned = self.forward_model(features)
        log_probs = functional.log_softmax(ctc.float(), -1).transpose(0, 1)
        lengths = batch.target_lengths
        terms = {
            "ctc": functional.ctc_loss(
                log_probs, batch.targets.to(self.device), batch.frames, lengths, BLANK, "sum", zero_infinity=True
            )
            / max(1, int(lengths.sum())),
            "aligned": functional.cross_entropy(
                aligned.float().flatten(0, 1), batch.aligned.to(self.device).flatten(), ignore_index=-100
            ),
        }
        return {"loss": terms["ctc"] + self.config.alignment * terms["aligned"], **terms}

    def measure(self, model: nn.Module) -> tuple[dict[str, float], float]:
        assert isinstance(model, PhoneNet)
        net = PhoneNet(model.config)
        net.load_state_dict(model.state_dict())
        rate = phone_error_rate(Recogniser(frozen(net)), self.held_out)
        return {"phone_error_rate": rate}, -rate


def phone_error_rate(recogniser: Recogniser, clips: list[PhonedClip], rows: int = 16) -> float:
    """Edits over true phones (pauses and laughter left out), over all of `clips`."""
    wrong = total = 0
    ordered = sorted(clips, key=lambda clip: len(clip.audio))
    for start in range(0, len(ordered), rows):
        part = ordered[start : start + rows]
        for clip, heard in zip(part, recogniser.heard([c.samples for c in part]), strict=True):
            truth = spoken(clip.ids.tolist())
            wrong += edit_distance(spoken([PHONE_ID[p] for p in heard]), truth)
            total += len(truth)
    return wrong / max(1, total)


def export_best(run: Path, config: RecogniserTrainConfig, path: Path, data: list[str]) -> dict[str, Any]:
    """Ship `run/best.safetensors` as `path` with a card; returns the figures in it. Raises ResumeError without one."""
    best = run / "best.safetensors"
    if not best.exists():
        raise ResumeError(f"{run} has no best.safetensors yet; train until its first validation")
    net = PhoneNet(RecogniserConfig.named(config.preset))
    net.load_state_dict(load_file(best))
    figures: dict[str, Any] = json.loads((run / "best.json").read_text(encoding="utf-8"))
    card = {
        "kind": "recogniser",
        "preset": config.preset,
        "data": data,
        "recipe": config.name,
        "metrics": {"held_out_synthetic_speakers": figures},
        "licence": "Apache-2.0",
    }
    export_recogniser(net, path, card)
    return figures
