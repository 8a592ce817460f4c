"""The S2S trainer: `python -m ml train s2s`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ml.codec.config import ConfigError
from ml.s2s.model import S2SModel
from ml.s2s.train.config import S2STrainConfig
from ml.s2s.train.data import Dialogues, Sampler
from ml.s2s.train.losses import loss_terms, right
from ml.train.loop import LoopTrainer
from ml.train.workers import Workers


class S2STrainer(LoopTrainer[S2STrainConfig]):
    """One run on the pairs of `dialogues`, whose codes are those of one codec."""

    model: S2SModel

    def __init__(
        self,
        config: S2STrainConfig,
        run: Path,
        device: str,
        dialogues: Dialogues,
        codebooks: Tensor,
        codec_sha256: str,
        workers: Workers | None = None,
    ) -> None:
        self.dialogues = dialogues
        self.codebooks, self.codec_sha256 = codebooks, codec_sha256
        super().__init__(config, run, device, workers)
        self.sampler = Sampler(dialogues, config)
        validation = [p for p in dialogues.set.pairs if p.split == "validation"]
        if not validation:
            raise ConfigError("the pairs have no validation split; make them with `python -m ml data pairs`")
        # Codec-level dropout, masks and noise are for training; a fixed seed chooses the renderings.
        rng = np.random.default_rng(config.seed)
        self.still = replace(config, distracted=0.0, end_silence=(5, 5), lead_silence=4)
        ordered = sorted(validation, key=lambda p: (p.group, dialogues.set.answers[p.answer].codes.shape[1]))
        self.validation = [(pair.group, dialogues.row_of(pair, rng, self.still, ())) for pair in ordered]

    def build(self) -> nn.Module:
        model = S2SModel(self.dialogues.model)
        model.use_codebooks(self.codebooks, self.codec_sha256)
        if model.score is not None:
            model.set_scores(self.dialogues.scores)
        return model

    def losses(self, step: int) -> dict[str, Tensor]:
        batch, targets = self.sampler.batch(step * self.workers.count + self.workers.rank)
        batch, targets = batch.to(self.device), targets.to(self.device)
        return loss_terms(self.forward_model(batch), batch, targets, self.config)

    @torch.no_grad()
    def measure(self, model: nn.Module) -> tuple[dict[str, float], float]:
        """Teacher-forced figures on the validation pairs; the score is plan accuracy over groups and phone accuracy."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        losses: dict[str, list[float]] = defaultdict(list)
        rng = np.random.default_rng(0)
        rows = max(4, self.config.batch_frames // 160)
        for start in range(0, len(self.validation), rows):
            part = self.validation[start : start + rows]
            batch, targets = self.dialogues.collate([row for _, row in part], rng, self.config, training=False)
            batch, targets = batch.to(self.device), targets.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.autocast):
                output = model(batch)
            terms = loss_terms(output, batch, targets, self.config)
            for name in ("first", "deeper", "ctc"):
                if name in terms:
                    losses[name].append(float(terms[name]))
            for name, (good, total) in right(output, batch, targets).items():
                counts[name][0] += good
                counts[name][1] += total
            if output.plan is not None:
                hits = targets.plans.gather(1, output.plan.argmax(1, keepdim=True))[:, 0] > 0
                for (group, _), hit in zip(part, hits.tolist(), strict=True):
                    counts[f"plan_{group}"][0] += hit
                    counts[f"plan_{group}"][1] += 1
        figures = {name: good / max(1, total) for name, (good, total) in sorted(counts.items())}
        figures |= {f"loss_{name}": float(np.mean(values)) for name, values in losses.items()}
        groups = [value for name, value in figures.items() if name.startswith("plan_")]
        score = (float(np.mean(groups)) if groups else 0.0) + figures["phones"] - 0.1 * figures["loss_first"]
        return figures, score
