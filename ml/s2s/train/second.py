"""Trains the second reading (`ml.s2s.second`) on what a trained encoder makes of questions: `… train second`."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.recogniser.decode import edit_distance
from ml.s2s.acts import collapsed
from ml.s2s.config import S2SConfig
from ml.s2s.model import S2SModel
from ml.s2s.second import SecondReading
from ml.s2s.train.config import S2STrainConfig
from ml.s2s.train.data import Dialogues, padded
from ml.s2s.train.disguise import draw_disguise
from ml.train.buckets import Buckets
from ml.train.loop import LoopConfig, LoopTrainer


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondConfig(LoopConfig):
    """One run of `python -m ml train second`."""

    name: str = "second"
    layers: int = 2
    """Blocks."""
    passes: int = 2
    """How often they are gone through."""
    encoder: bool = False
    """The encoder learns too (`ml.s2s.train.ear`)."""
    batch_frames: int = 3_000
    """Code frames per step, padding included."""
    early: float = 0.3
    """Weight of CTC on what is believed before the last time through."""
    mask_spans: int = 3
    """At most this many stretches of a question are masked, each up to 6 frames (240 ms)."""
    question_noise: float = 0.3
    """At most this deviation of noise is added to half of the questions' latents."""
    fewer_levels: float = 0.2
    """Chance that a question is heard with fewer codebooks."""
    measured: int = 600
    """Validation questions at most, evenly chosen."""
    schedule: str = "wsd"
    steps: int = 1_000_000
    decay_share: float = 0.4
    learning_rate: float = 1.2e-3
    final_learning_rate: float = 1.2e-5
    validate_every: int = 400
    average_decay: float = 0.995


def with_second(model: S2SModel, run: SecondConfig) -> S2SModel:
    """`model` with room for the second reading of that run, which is random."""
    wider = S2SModel(second_shape(model.config, run))
    kept = {k: v for k, v in model.state_dict().items() if not k.startswith("second.")}
    wider.load_state_dict(kept, strict=False)
    for head in ("plan_head", "intent_head"):
        if getattr(model, head) is None:
            setattr(wider, head, None)
    wider.codec_sha256, wider.codebooks_sha256 = model.codec_sha256, model.codebooks_sha256
    return wider


def second_shape(model: S2SConfig, run: SecondConfig) -> S2SConfig:
    """The shape of a model with the second reading of that run."""
    return dataclasses.replace(model, second_layers=run.layers, second_passes=run.passes)


class SecondTrainer(LoopTrainer[SecondConfig]):
    """One run; the encoder of `listener` does not change."""

    part = "second."

    def __init__(self, config: SecondConfig, run: Path, device: str, dialogues: Dialogues, listener: S2SModel) -> None:
        self.dialogues = dialogues
        self.listener = listener.eval().requires_grad_(False).to(device)
        self.cut = S2STrainConfig(name="second")
        clips = dialogues.set.questions
        known = [i for i, clip in enumerate(clips) if clip.phones]
        self.train = [i for i in known if clips[i].split == "train"]
        held = sorted((i for i in known if clips[i].split == "validation"), key=lambda i: clips[i].id)
        every = max(1, len(held) // max(1, config.measured))
        self.held = sorted(held[::every], key=lambda i: clips[i].codes.shape[1])
        super().__init__(config, run, device, None)
        lengths = [clips[i].speech[1] - clips[i].speech[0] + 14 for i in self.train]
        self.buckets = Buckets(lengths, config.batch_frames, config.seed)

    def build(self) -> nn.Module:
        return SecondReading(second_shape(self.listener.config, self.config))

    def losses(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.seed, step, 3))
        rows = [self.dialogues.cut_question(self.train[i], rng, self.cut) for i in self.buckets.batch(step)]
        codes, frames = padded([codes for codes, _ in rows], self.listener.config.levels)
        codes, frames = codes.to(self.device), frames.to(self.device)
        # CTC needs a step per phone and one between equal neighbours
        told = [
            list(phones) if 2 * int(n) > 1.1 * len(phones) else [] for (_, phones), n in zip(rows, frames, strict=True)
        ]
        counts = torch.tensor([len(phones) for phones in told])
        flat = torch.tensor([phone for phones in told for phone in phones], dtype=torch.int64)
        each = []
        shape = (codes.shape[0], codes.shape[2])
        disguise = draw_disguise(rng, shape, self.listener.config.levels, 2, self.config)._asdict()
        disguise = {name: values.to(self.device) for name, values in disguise.items()}
        for logits in self._read(self.forward_model, codes, frames, disguise):
            log_probs = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
            blank = logits.shape[-1] - 1
            lost = functional.ctc_loss(
                log_probs, flat.to(self.device), 2 * frames, counts, blank, reduction="sum", zero_infinity=True
            )
            each.append(lost / counts.sum().clamp_min(1))
        loss = each[-1] + self.config.early * torch.stack(each[:-1]).sum() if each[:-1] else each[-1]
        return {"loss": loss, "ctc": each[-1], "first": each[0]}

    def _read(self, model: nn.Module, codes: Tensor, frames: Tensor, disguise: dict[str, Tensor]) -> list[Tensor]:
        """Phone logits of questions, from the least to the best."""
        with torch.no_grad():
            vectors, _ = self.listener.encoder(self.listener.books, codes, frames, **disguise)
        found: list[Tensor] = model(vectors, self._there(codes, frames))
        return found

    def _there(self, codes: Tensor, frames: Tensor) -> Tensor:
        return torch.arange(codes.shape[2], device=self.device) < frames[:, None]

    @torch.no_grad()
    def measure(self, model: nn.Module) -> tuple[dict[str, float], float]:
        """Phone error rate of held-out questions, of the best and of the least reading."""
        clips, blank = self.dialogues.set.questions, self.listener.config.n_phones
        wrong: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for start in range(0, len(self.held), 40):
            part = self.held[start : start + 40]
            cut = [clips[i].codes[:, max(0, clips[i].speech[0] - 3) : clips[i].speech[1] + 5] for i in part]
            codes, frames = padded(cut, self.listener.config.levels)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.autocast):
                each = self._read(model, codes.to(self.device), frames.to(self.device), {})
            for name, logits in (("phone_error", each[-1]), ("first_phone_error", each[0])):
                paths = logits.argmax(-1).tolist()
                for i, path, length in zip(part, paths, frames.tolist(), strict=True):
                    phones = list(clips[i].phones)
                    wrong[name][0] += edit_distance(phones, collapsed(path[: 2 * length], blank))
                    wrong[name][1] += len(phones)
        figures = {name: bad / max(1, total) for name, (bad, total) in wrong.items()}
        return figures, -figures["phone_error"]
