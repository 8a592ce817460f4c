"""The adversarial half of codec training: discriminators, their optimizer and the generator's extra terms."""

from __future__ import annotations

import torch
from torch import Tensor

from ml.codec.discriminators import (
    DiscriminatorConfig,
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from ml.train.checkpoints import optimizer_tensors, restore_optimizer
from ml.train.workers import Workers


class Adversary:
    """Discriminators in training."""

    def __init__(
        self,
        config: DiscriminatorConfig,
        learning_rate: float,
        clip: float,
        device: torch.device,
        workers: Workers | None = None,
    ) -> None:
        self.model = Discriminators(config).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate, betas=(0.8, 0.99))
        self.clip = clip
        self.workers = workers or Workers.alone()

    def learn(self, real: Tensor, fake: Tensor) -> Tensor:
        """One discriminator step on waveforms `[B, T]`; returns its loss."""
        self.model.requires_grad_(True)
        real_scores, _ = self.model(real)
        fake_scores, _ = self.model(fake.detach())
        loss = discriminator_loss(real_scores, fake_scores)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.workers.mean_([p.grad for p in self.model.parameters() if p.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        return loss.detach()

    def judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial and feature matching terms for the generator."""
        self.model.requires_grad_(False)
        with torch.no_grad():
            _, real_features = self.model(real)
        fake_scores, fake_features = self.model(fake)
        return adversarial_loss(fake_scores), feature_loss(real_features, fake_features)

    def tensors(self) -> dict[str, Tensor]:
        """State for a checkpoint, under names of its own."""
        model = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        return {f"adversary.{k}": v for k, v in (model | optimizer_tensors(self.optimizer)).items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Inverse of `tensors`; silent when the checkpoint is from before the adversary began."""
        own = {k.removeprefix("adversary."): v for k, v in tensors.items() if k.startswith("adversary.")}
        if own:
            self.model.load_state_dict({k.removeprefix("model."): v for k, v in own.items() if k.startswith("model.")})
            restore_optimizer(self.optimizer, own)
