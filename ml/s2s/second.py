"""The second reading: once the question is over, its phones are read again with all of it in view.

The encoder reads while the user speaks and sees nothing of what comes; what it made of the question is read once more
by blocks that look both ways (cascaded encoders, Narayanan et al. 2021). The same blocks are gone through several
times, each time told what was believed the time before (self-conditioned folded encoder, Komatsu 2022). It runs at the
end of a question only and takes a few milliseconds; what the decoder looks at stays the encoder's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ml.s2s.config import S2SConfig
from ml.s2s.encoder import ConformerBlock
from ml.s2s.layers import Rotation


class SecondReading(nn.Module):
    """Encoder vectors of whole questions to phone logits."""

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width, classes = config.encoder_width, 2 * (config.n_phones + 1)
        self.config = config
        self.enter = nn.Linear(width, width)
        self.blocks = nn.ModuleList(ConformerBlock(f"second.{i}", config, True) for i in range(config.second_layers))
        self.norm = nn.LayerNorm(width)
        self.ctc = nn.Linear(width, classes)
        self.believed = nn.Linear(classes, width)

    def forward(self, vectors: Tensor, there: Tensor) -> list[Tensor]:
        """Vectors `[B, T, C]` of which `there` (bool `[B, T]`, from the first on) exist, to phone logits
        `[B, 2 T, n_phones + 1]` after each time through the blocks, the last being the best.
        """
        config, time = self.config, vectors.shape[1]
        x = self.enter(vectors).to(vectors.dtype)
        at = torch.arange(time, device=vectors.device)
        rotation = Rotation(at, config.encoder_heads, config.encoder_width // config.encoder_heads, x.dtype)
        mask = there[:, None, :] | torch.eye(time, dtype=torch.bool, device=x.device)  # padding sees itself
        found: list[Tensor] = []
        for turn in range(config.second_passes):
            if turn:
                x = x + self.believed(found[-1].softmax(-1).flatten(2))
            for block in self.blocks:
                x = block(x, rotation, mask[:, None], None, there)
            found.append(self.ctc(self.norm(x)).to(x.dtype).unflatten(2, (2, config.n_phones + 1)))
        return [logits.flatten(1, 2) for logits in found]
