"""Trains all that hears, encoder and second reading, on questions alone: `… train second --encoder`.

What speaks looks at the plan and its phones before anything else, so that it goes on with an encoder that it did not
learn with; its loss is to be measured again afterwards (`evaluate s2s`).
"""

from __future__ import annotations

from torch import Tensor, nn

from ml.s2s.codebooks import Codebooks
from ml.s2s.config import S2SConfig
from ml.s2s.encoder import Encoder
from ml.s2s.second import SecondReading
from ml.s2s.train.second import SecondTrainer, second_shape


class Ear(nn.Module):
    """Encoder and second reading, under the names that they have in the whole model."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.second = SecondReading(config)

    def forward(
        self, books: Codebooks, codes: Tensor, frames: Tensor, there: Tensor, **disguise: Tensor
    ) -> list[Tensor]:
        """As `Encoder.forward`, `there` as `SecondReading.forward`: phone logits of the encoder, then of each time
        through the second reading.
        """
        vectors, phones = self.encoder(books, codes, frames, **disguise)
        return [phones, *self.second(vectors, there)]


class EarTrainer(SecondTrainer):
    """One run; it starts from what `listener` has, and `listener` does not change."""

    part = ""

    def build(self) -> nn.Module:
        ear = Ear(second_shape(self.listener.config, self.config))
        own = ear.state_dict()
        known = {k: v for k, v in self.listener.state_dict().items() if k in own and v.shape == own[k].shape}
        ear.load_state_dict(known, strict=False)
        return ear

    def _read(self, model: nn.Module, codes: Tensor, frames: Tensor, disguise: dict[str, Tensor]) -> list[Tensor]:
        there = self._there(codes, frames)
        found: list[Tensor] = model(self.listener.books, codes, frames, there, **disguise)
        return found
