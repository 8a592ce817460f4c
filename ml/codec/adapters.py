"""Pretrained codecs by `transformers` behind TeluCodec's offline interface, so that another codec can be chosen.

EnCodec (Défossez et al. 2022), Mimi (Défossez et al. 2024) and DAC (Kumar et al. 2023), from a folder or a hub id.
Audio goes in and out at 16 kHz as everywhere in the platform; the model's own rate is its own affair.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.functional import resample

from ml.codec.model import CodecInputError

SAMPLE_RATE = 16_000
FAMILIES = {"encodec": "EncodecModel", "mimi": "MimiModel", "dac": "DacModel"}


class AdapterError(RuntimeError):
    """A pretrained codec cannot be used; the message says what to do."""


def _transformers() -> ModuleType:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise AdapterError("package transformers is not installed; run `pip install transformers`") from None


@dataclass(frozen=True)
class AdaptedConfig:
    """What the platform asks of any codec's configuration."""

    preset: str
    native_rate: int
    native_hop: int
    n_quantizers: int
    codebook_size: int
    sample_rate: int = SAMPLE_RATE
    delay_samples: int = 0
    """Output is aligned with the input: look-ahead is the model's own padding."""

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.native_rate / self.native_hop

    def kbps(self, n_quantizers: int | None = None) -> float:
        """Bit rate in kilobits per second for `n_quantizers` codebooks (all by default)."""
        bits = (self.codebook_size - 1).bit_length()
        return (n_quantizers or self.n_quantizers) * bits * self.frame_rate / 1000.0


class AdaptedCodec(nn.Module):
    """One pretrained codec as `encode`, `decode`, `reconstruct`, and `encode_stream` where the model has a state."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.family = str(model.config.model_type)
        if self.family not in FAMILIES:
            raise AdapterError(f"{name} is a {self.family!r} model; codecs are {', '.join(FAMILIES)}")
        if getattr(model.config, "audio_channels", 1) != 1:
            raise AdapterError(f"{name} codes {model.config.audio_channels} channels; speech needs a mono codec")
        if getattr(model.config, "normalize", False):
            raise AdapterError(f"{name} sends a loudness beside its codes; use a codec that does without (normalize)")
        self.model = model.eval().requires_grad_(False)
        rate = int(model.config.sampling_rate)
        hop = model.config.hop_length if self.family != "mimi" else round(rate / model.config.frame_rate)
        levels = {
            "encodec": lambda c: int(c.num_quantizers),
            "mimi": lambda c: int(c.num_quantizers),
            "dac": lambda c: int(c.n_codebooks),
        }[self.family](model.config)
        self.config = AdaptedConfig(name, rate, int(hop), levels, int(model.config.codebook_size))

    @property
    def streams(self) -> bool:
        """Whether `encode_stream` works for this model."""
        return self.family == "mimi"

    def encode(self, audio: Tensor) -> Tensor:
        """Audio `[B, T]` at 16 kHz to codes int64 `[B, Q, F]`."""
        if audio.dim() != 2 or audio.shape[1] == 0:
            raise CodecInputError(f"encode takes mono audio [batch, samples >= 1], got {tuple(audio.shape)}")
        if not torch.isfinite(audio).all():
            raise CodecInputError("audio holds NaN or infinite samples; repair or cut them before encoding")
        native = resample(audio, SAMPLE_RATE, self.config.native_rate)
        hop = self.config.native_hop
        native = nn.functional.pad(native, (0, -native.shape[1] % hop))[:, None]
        if self.family == "encodec":
            # The widest bandwidth of the configuration uses all codebooks
            codes = self.model.encode(native, bandwidth=self.model.config.target_bandwidths[-1]).audio_codes[0]
        elif self.family == "dac":
            codes = self.model.encode(native).audio_codes
        else:
            codes = self.model.encode(native, num_quantizers=self.config.n_quantizers).audio_codes
        return codes.to(torch.int64)

    def decode(self, codes: Tensor, n_quantizers: int | None = None) -> Tensor:
        """Codes int64 `[B, Q, F]` (the first `n_quantizers` levels of them) to audio `[B, F * hop]` at 16 kHz."""
        if codes.dim() != 3 or codes.dtype != torch.int64:
            raise CodecInputError(f"codes are int64 [batch, levels, frames], got {codes.dtype} {tuple(codes.shape)}")
        codes = codes[:, : n_quantizers or codes.shape[1]]
        if self.family == "encodec":
            audio = self.model.decode(codes[None], [None]).audio_values[:, 0]
        elif self.family == "dac":
            audio = self.model.decode(audio_codes=codes).audio_values
            audio = audio[:, 0] if audio.dim() == 3 else audio
        else:
            audio = self.model.decode(codes).audio_values[:, 0]
        return resample(audio, self.config.native_rate, SAMPLE_RATE)

    def reconstruct(self, audio: Tensor, n_quantizers: int | None = None) -> Tensor:
        """`decode(encode(audio))`, cut or padded to the length of `audio` `[B, T]`."""
        made = self.decode(self.encode(audio), n_quantizers)[:, : audio.shape[1]]
        return nn.functional.pad(made, (0, audio.shape[1] - made.shape[1]))

    def streaming_state(self) -> dict[str, Any]:
        """A fresh state for `encode_stream`."""
        if not self.streams:
            raise AdapterError(f"{self.config.preset} has no streaming state; encode whole clips")
        return {}

    def encode_stream(self, audio: Tensor, state: dict[str, Any]) -> Tensor:
        """Next samples `[B, n * native_hop]` at the model's own rate to codes `[B, Q, n]`; the state advances."""
        if not self.streams:
            raise AdapterError(f"{self.config.preset} has no streaming state; encode whole clips")
        if audio.dim() != 2 or audio.shape[1] % self.config.native_hop:
            raise CodecInputError(f"encode_stream takes [batch, n * {self.config.native_hop}] samples at its own rate")
        made = self.model.encode(
            audio[:, None],
            num_quantizers=self.config.n_quantizers,
            encoder_past_key_values=state.get("attention"),
            padding_cache=state.get("padding"),
            use_streaming=True,
        )
        state["attention"], state["padding"] = made.encoder_past_key_values, made.padding_cache
        return made.audio_codes.to(torch.int64)


def load_adapted(source: str, device: str | torch.device = "cpu") -> AdaptedCodec:
    """The codec at `source`, a folder as `save_pretrained` writes it or a hub id. Raises AdapterError.

    Only safetensors files are read.
    """
    transformers = _transformers()
    local = Path(source).exists()
    try:
        config = transformers.AutoConfig.from_pretrained(source, local_files_only=local)
        if config.model_type not in FAMILIES:
            raise AdapterError(f"{source} is a {config.model_type!r} model; codecs are {', '.join(FAMILIES)}")
        kind = getattr(transformers, FAMILIES[config.model_type])
        model = kind.from_pretrained(source, use_safetensors=True, local_files_only=local)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise AdapterError(
            f"no codec at {source}: {reason}; give a folder with config.json and model.safetensors, "
            "or a hub id that this machine can reach"
        ) from None
    return AdaptedCodec(model, source).to(device)
