"""A self-supervised teacher for the first codebook: WavLM, HuBERT or wav2vec 2.0 by `transformers`.

The first level's vectors, through one linear layer, are drawn towards the teacher's hidden states of the same moments
(cosine distance, as SpeechTokenizer, Zhang et al. 2024, and Mimi, Défossez et al. 2024, do it): what such a teacher
keeps is mostly phonetic. Only training knows teacher and layer.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.codec.config import ConfigError

FAMILIES = {"wavlm": "WavLMModel", "hubert": "HubertModel", "wav2vec2": "Wav2Vec2Model"}
SAMPLE_RATE = 16_000


class Teacher(nn.Module):
    """A frozen model of speech and the layer that reads its hidden states off `code_dim` dimensions."""

    def __init__(self, model: Any, code_dim: int) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.read = nn.Linear(code_dim, int(model.config.hidden_size))

    def train(self, mode: bool = True) -> Teacher:
        """Only the reading layer trains: the model keeps its dropout off."""
        self.read.train(mode)
        return self

    @torch.no_grad()
    def states(self, audio: Tensor, frames: int) -> Tensor:
        """Mean of the layers' hidden states for audio `[B, T]` at 16 kHz, averaged into `[B, frames, hidden]`."""
        spread = audio.std(dim=1, keepdim=True).clamp(min=1e-4)
        hidden = self.model((audio - audio.mean(dim=1, keepdim=True)) / spread, output_hidden_states=True).hidden_states
        mean = torch.stack(hidden[1:]).mean(dim=0)
        return functional.adaptive_avg_pool1d(mean.transpose(1, 2), frames).transpose(1, 2)

    def distance(self, first: Tensor, audio: Tensor) -> Tensor:
        """One minus the cosine between `first` `[B, F, code_dim]`, read, and the teacher's states, averaged."""
        wanted = self.states(audio, first.shape[1])
        return 1.0 - functional.cosine_similarity(self.read(first.to(wanted.dtype)), wanted, dim=-1).mean()


def load_teacher(source: str, code_dim: int) -> Teacher:
    """The teacher at `source`, a folder as `save_pretrained` writes it or a hub id; safetensors files only.

    Raises ConfigError when there is none, or of another kind.
    """
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        raise ConfigError("a teacher needs the package transformers; run `pip install transformers`") from None
    local = Path(source).exists()
    try:
        config = transformers.AutoConfig.from_pretrained(source, local_files_only=local)
        if config.model_type not in FAMILIES:
            raise ConfigError(f"{source} is a {config.model_type!r} model; teachers are {', '.join(FAMILIES)}")
        kind = getattr(transformers, FAMILIES[config.model_type])
        model = kind.from_pretrained(source, use_safetensors=True, local_files_only=local)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"no teacher at {source}: {reason}; give a folder with config.json and model.safetensors, "
            "or a hub id that this machine can reach"
        ) from None
    return Teacher(model, code_dim)
