"""What every trainer of sequences shares: schedule, optimizer, weight average, checkpoints, the loop.

A trainer says how to build its model, what the losses of a step are and how good the averaged model is. Batches depend
on (seed, step, rank) alone, so that a resumed run sees what the unbroken run would have seen. Started by `torchrun` or
`accelerate launch` (both set RANK and WORLD_SIZE) the same code averages gradients over all processes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.codec.config import ConfigError
from ml.train.checkpoints import (
    Checkpoint,
    ResumeError,
    latest_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from ml.train.codec import Report, Stop
from ml.train.workers import Workers

SCHEDULES = ("cosine", "wsd")
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """Settings that all sequence trainers have in common."""

    name: str
    """Name of the recipe."""
    steps: int = 10_000
    """Optimizer steps of the whole schedule."""
    schedule_minutes: float = 0.0
    """Above 0 the schedule follows training time instead of steps: the rate is at its end after this long."""
    schedule: str = "cosine"
    """cosine: falls all the way; wsd: stays at its peak and falls linearly over the last `decay_share`."""
    decay_share: float = 0.3
    """Share of the schedule over which wsd falls."""
    optimizer: str = "adamw"
    """adamw, or muon: orthogonalised momentum (Jordan et al. 2024) for the matrices inside, AdamW for the rest."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float = 0.02
    """Peak learning rate of Muon's matrices."""
    final_learning_rate: float = 1e-5
    """Learning rate at the end of the schedule (Muon's falls in the same proportion)."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    weight_decay: float = 0.01
    """Decoupled weight decay of matrices."""
    clip: float = 1.0
    """Gradient norm limit."""
    average_decay: float = 0.998
    """Decay of the weight average that is evaluated and shipped."""
    autocast: bool = True
    """Matrix products in bf16 where the machine has units for it (GPU, or AMX on a CPU)."""
    compile: bool = False
    """torch.compile the model; pays off on a GPU."""
    validate_every: int = 500
    """Steps between validations, each of which may become `best`."""
    save_every_seconds: float = 120.0
    """Seconds between resumable checkpoints."""
    keep: int = 2
    """Resumable checkpoints kept."""
    seed: int = 0
    """Seed of initialisation, batches and augmentation."""
    init: str = ""
    """Weights (safetensors) to start from instead of a random model; what does not fit is left out and named."""

    def check(self) -> None:
        """Raises ConfigError on settings that cannot work."""
        if self.steps < 1 or self.learning_rate <= 0 or self.warmup_steps < 0:
            raise ConfigError("steps and learning_rate must be positive, warmup_steps not negative")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule {self.schedule!r} is unknown; choose one of {', '.join(SCHEDULES)}")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer {self.optimizer!r} is unknown; choose one of {', '.join(OPTIMIZERS)}")
        if not 0.0 < self.decay_share <= 1.0:
            raise ConfigError(f"decay_share is a share of the schedule, got {self.decay_share}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`; raises ConfigError on unknown fields."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - set(fields)):
            raise ConfigError(f"unknown training settings {unknown}; this build knows {sorted(fields)}")
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**settings)

    def same_run(self, other: LoopConfig) -> bool:
        """True when a run of `other` may go on with this: only the length and the house-keeping may differ."""
        free = {"steps", "schedule_minutes", "validate_every", "save_every_seconds", "keep", "compile"}
        mine, theirs = self.to_dict(), other.to_dict()
        return {k: v for k, v in mine.items() if k not in free} == {k: v for k, v in theirs.items() if k not in free}

    def rate(self, step: int, seconds: float) -> float:
        """Learning rate as a share of its peak, at `step` after `seconds` of training."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule_minutes:
            progress = min(1.0, seconds / 60.0 / self.schedule_minutes)
        else:
            progress = min(1.0, (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps))
        floor = self.final_learning_rate / self.learning_rate
        if self.schedule == "cosine":
            return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
        return floor + (1.0 - floor) * min(1.0, (1.0 - progress) / self.decay_share)


Config = TypeVar("Config", bound=LoopConfig)


class LoopTrainer(ABC, Generic[Config]):
    """One run: model, average, optimizers and step counter, saved and restored together."""

    part: ClassVar[str] = ""
    """Prefix of what is trained in the weights of the whole model, for runs that train a part: `init` may be either."""

    def __init__(self, config: Config, run: Path, device: str, workers: Workers | None = None) -> None:
        config.check()
        torch.manual_seed(config.seed)
        self.config = config
        self.run = run
        self.workers = workers or Workers.alone()
        self.device = torch.device(device)
        run.mkdir(parents=True, exist_ok=True)
        self.model = self.build().to(self.device)
        self.left_out: list[str] = []
        if config.init:
            self._start_from(Path(config.init))
        self.forward_model: nn.Module = torch.compile(self.model) if config.compile else self.model  # type: ignore[assignment]
        self.forward_model = self.workers.wrap(self.forward_model, self.device)
        self.optimizers = self._optimizers()
        self.average = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        self.step = 0
        self.best = -math.inf
        self.trained_seconds = 0.0

    # -- what a trainer says -----------------------------------------------------------------------------

    @abstractmethod
    def build(self) -> nn.Module:
        """The model to train, initialised."""

    @abstractmethod
    def losses(self, step: int) -> dict[str, Tensor]:
        """Terms of this step's batch; `loss` is what is descended. Calls `self.forward_model`."""

    @abstractmethod
    def measure(self, model: nn.Module) -> tuple[dict[str, float], float]:
        """(figures, score) of the averaged model on held-out data; the higher the score, the better."""

    # -- one step ----------------------------------------------------------------------------------------

    def _start_from(self, path: Path) -> None:
        try:
            stored = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"init {path} cannot be read ({error}): name a .safetensors file of weights") from None
        inner = {k.removeprefix(self.part): v for k, v in stored.items() if self.part and k.startswith(self.part)}
        stored, own = inner or stored, self.model.state_dict()
        fitting = {k: v.to(own[k].dtype) for k, v in stored.items() if k in own and v.shape == own[k].shape}
        if not fitting:
            raise ConfigError(f"{path} holds no weight that fits this model; give a `best.safetensors` of this preset")
        self.left_out = sorted(set(own) - set(fitting))
        self.model.load_state_dict(fitting, strict=False)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        config = self.config
        named = [(k, v) for k, v in self.model.named_parameters() if v.requires_grad]
        matrices = [v for k, v in named if v.dim() == 2 and "embed" not in k and "head" not in k]
        others = [(k, v) for k, v in named if not any(v is m for m in matrices)]
        groups: list[dict[str, Any]] = [
            {"params": [v for _, v in others if v.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [v for _, v in others if v.dim() < 2], "weight_decay": 0.0},
        ]
        found: list[torch.optim.Optimizer] = []
        if config.optimizer == "muon":
            found.append(torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=config.weight_decay))
        else:
            groups[0]["params"] += matrices
        groups = [g for g in groups if g["params"]]
        if groups:
            found.append(torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-9))
        for optimizer in found:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        return found

    def train_step(self) -> dict[str, float]:
        """Descend once on the batch of this step; returns the loss terms."""
        self.model.train()
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # dropout of a resumed run repeats too
        share = self.config.rate(self.step, self.trained_seconds)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.autocast):
            terms = self.losses(self.step)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if torch.isfinite(norm):  # a batch that overflowed is skipped, the run goes on
            for optimizer in self.optimizers:
                optimizer.step()
            decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                own = dict(self.model.named_parameters())
                torch._foreach_lerp_([self.average[k] for k in own], list(own.values()), 1 - decay)
        terms |= {"grad_norm": norm, "rate": torch.tensor(share)}
        return {name: float(value.detach()) for name, value in terms.items()}

    # -- evaluation and files ----------------------------------------------------------------------------

    def averaged(self) -> nn.Module:
        """A copy of the model with averaged weights, in eval mode."""
        with torch.random.fork_rng([]):
            model = self.build().to(self.device)
        model.load_state_dict({**self.model.state_dict(), **self.average})
        return model.eval()

    def validate(self) -> dict[str, float]:
        """Figures of the averaged model; stored as `best.safetensors` when it is the best so far."""
        model = self.averaged()
        with torch.no_grad():
            figures, score = self.measure(model)
        if score > self.best and self.workers.first:
            self.best = score
            write_weights(self.run / "best.safetensors", model)
            note = {"step": self.step, "trained_seconds": round(self.trained_seconds), "score": score, **figures}
            (self.run / "best.json").write_text(json.dumps(note))
        return figures

    def save(self) -> None:
        """Write a resumable checkpoint (the first process only)."""
        if not self.workers.first:
            return
        tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for number, optimizer in enumerate(self.optimizers):
            tensors |= {f"{number}.{k}": v for k, v in optimizer_tensors(optimizer).items()}
        meta = {"config": self.config.to_dict(), "best": self.best, "trained_seconds": self.trained_seconds}
        save_checkpoint(self.run / "checkpoints", Checkpoint(self.step, tensors, meta), self.config.keep)

    def resume(self) -> bool:
        """Go on from the newest checkpoint of the run folder; False when there is none. Raises ResumeError."""
        stored = latest_checkpoint(self.run / "checkpoints")
        if stored is None:
            return False
        if not self.config.same_run(type(self.config).from_dict(stored.meta["config"])):
            raise ResumeError(f"{self.run} was started with another configuration; choose another --run folder")
        self.model.load_state_dict(_below(stored.tensors, "model."))
        for name in self.average:
            self.average[name].copy_(stored.tensors[f"average.{name}"])
        for number, optimizer in enumerate(self.optimizers):
            restore_optimizer(optimizer, _below(stored.tensors, f"{number}."))
        self.step, self.best = stored.step, stored.meta["best"]
        self.trained_seconds = stored.meta["trained_seconds"]
        return True

    # -- the loop ----------------------------------------------------------------------------------------

    def finished(self) -> bool:
        """True when the schedule has come to its end."""
        if self.config.schedule_minutes and self.trained_seconds >= self.config.schedule_minutes * 60:
            return True
        return self.step >= self.config.steps

    def fit(self, report: Report, stop: Stop, max_minutes: float) -> str:
        """Train until the schedule ends, `max_minutes` pass or `stop` is asked; returns which of these it was."""
        began = last_save = time.monotonic()
        already = self.trained_seconds
        reason = "finished"
        while not self.finished():
            terms = self.train_step()
            self.step += 1
            now = time.monotonic()
            self.trained_seconds = already + now - began
            row: dict[str, Any] = {"step": self.step, "seconds": round(self.trained_seconds, 1), **terms}
            if self.step % self.config.validate_every == 0 or self.finished():
                row |= {f"valid_{k}": v for k, v in self.validate().items()}
            report(row)
            if self.workers.any(stop.asked or now - began > max_minutes * 60):
                reason = "stopped" if stop.asked else "time"
                break
            if now - last_save > self.config.save_every_seconds:
                self.save()
                last_save = now
        self.save()
        return reason


def write_weights(path: Path, model: nn.Module) -> None:
    """All tensors of `model` as safetensors, by write-and-rename."""
    partial = path.with_suffix(".partial")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}, partial)
    partial.replace(path)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
