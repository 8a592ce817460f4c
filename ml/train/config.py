"""Typed configuration of codec training runs; a run stores it and resumes only with the same one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from ml.codec.config import CodecConfig, ConfigError
from ml.codec.discriminators import DiscriminatorConfig


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the codec's loss terms (`ml.codec.losses` defines the terms)."""

    snr: float = 1.0
    """Error energy over signal energy of the waveform, in units of 10 dB."""
    l1: float = 0.0
    """Mean absolute waveform error."""
    mel: float = 0.15
    """Log-mel distance at two resolutions."""
    stft: float = 0.0
    """Multi-scale STFT: spectral convergence and log magnitude."""
    band: float = 0.0
    """Error over signal in each mel band and moment, in units of 10 dB."""
    level: float = 0.0
    """Level of each mel band over 100 ms, in units of 10 dB: what cannot be followed is to be as loud as it was."""
    bare: float = 0.0
    """`snr` of what is decoded without levels, so that fewer codebooks still follow the waveform."""
    energy: float = 0.0
    """The same over 32 ms: what a codebook of levels can set right."""
    loudness: float = 0.0
    """What a listener would hear of the error, in points of the PESQ scale (`ml.codec.loudness`)."""
    envelope: float = 0.0
    """One minus the correlation of third-octave envelopes over 384 ms, which is what STOI measures."""
    pitch: float = 0.0
    """Error of the decoded pitch where speech is voiced, in octaves (harmonic head)."""
    phones: float = 0.0
    """Cross-entropy of phones read off the first codebook alone (speech whose phones are known)."""
    distill: float = 0.0
    """Cosine distance of the first codebook, read by one layer, to a self-supervised teacher (`ml.train.teacher`)."""
    commitment: float = 1.0
    """Scale of the quantizer's commitment term (already multiplied by the codec's own 0.25)."""
    adversarial: float = 0.0
    """Hinge loss of the generator against the discriminators."""
    feature: float = 0.0
    """Feature matching."""


@dataclass(frozen=True, slots=True)
class CodecTrainConfig:
    """One run of `python -m ml train codec`."""

    name: str
    """Name of the recipe."""
    codec: CodecConfig
    """Model to train."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Loss weights."""
    discriminators: DiscriminatorConfig | None = None
    """Discriminators for adversarial training; None trains without."""
    adversarial_from: int = 0
    """Step at which the discriminators join."""
    discriminator_learning_rate: float = 2e-4
    """Learning rate of the discriminators."""
    steps: int = 9_000
    """Optimizer steps of the whole schedule (the cosine ends here)."""
    batch: int = 12
    """Crops per step."""
    crop_seconds: float = 1.0
    """Length of a crop in seconds; a whole number of hops."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW."""
    final_learning_rate: float = 2e-5
    """Learning rate at the end of the cosine."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""
    weight_decay: float = 1e-3
    """Decoupled weight decay."""
    clip: float = 1.0
    """Gradient norm limit."""
    quantize_from: int = 200
    """Step at which the codebooks start (k-means on the latents of that moment)."""
    average_decay: float = 0.998
    """Decay of the weight average that is evaluated and shipped."""
    autocast: bool = True
    """Matrix products in bf16 where the machine has units for it (GPU, or AMX on a CPU)."""
    validate_every: int = 500
    """Steps between validations, each of which may become `best`."""
    save_every_seconds: float = 120.0
    """Seconds between resumable checkpoints."""
    keep: int = 2
    """Resumable checkpoints kept."""
    seed: int = 0
    """Seed of initialisation, crops, augmentation and quantizer dropout."""
    decoder_only: bool = False
    """Encoder and codebooks stay as `init` has them: codes that were stored keep their meaning."""
    levels_only: bool = False
    """Everything but the codebook of levels (`codec.level_bands`) stays as `init` has it."""
    level_speed: float = 1.0
    """Learning rate of the networks of levels, which start anew, over that of the rest."""
    teacher: str = ""
    """Folder or hub id of the WavLM, HuBERT or wav2vec 2.0 that `loss.distill` follows."""
    init: str = ""
    """Weights (safetensors) to start from instead of a random model."""

    def __post_init__(self) -> None:
        if self.crop_seconds * self.codec.sample_rate % self.codec.hop:
            raise ConfigError(f"crop_seconds {self.crop_seconds} is not a whole number of {self.codec.hop}-sample hops")
        if self.steps < 1 or self.batch < 1 or self.learning_rate <= 0:
            raise ConfigError("steps, batch and learning_rate must be positive")
        if (self.loss.pitch or self.loss.phones) and self.codec.head != "harmonic":
            raise ConfigError("loss.pitch and loss.phones belong to codecs with a harmonic head")
        if self.loss.bare and not self.codec.level_bands:
            raise ConfigError("loss.bare needs codec.level_bands")
        if self.levels_only and not (self.codec.level_bands and self.init):
            raise ConfigError("levels_only needs codec.level_bands and weights to start from (init)")
        if self.loss.distill and not self.teacher:
            raise ConfigError("loss.distill needs a teacher: a folder or hub id of WavLM, HuBERT or wav2vec 2.0")
        if self.labelled and self.codec.hop // self.codec.subframes != 160:
            raise ConfigError("pitch and phone labels come every 160 samples; hop / subframes must be 160")
        if (self.loss.adversarial or self.loss.feature) and self.discriminators is None:
            raise ConfigError("loss.adversarial and loss.feature need discriminators")
        if self.discriminators and self.crop_seconds * self.codec.sample_rate < 2 * max(self.discriminators.n_ffts):
            raise ConfigError("crop_seconds is too short for the longest discriminator window")

    @property
    def labelled(self) -> bool:
        """Whether training needs pitch and phones beside audio."""
        return bool(self.loss.pitch or self.loss.phones)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in _NESTED},
            "codec": self.codec.to_dict(),
            "loss": dataclasses.asdict(self.loss),
            "discriminators": dataclasses.asdict(self.discriminators) if self.discriminators else None,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`; raises ConfigError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown training settings {unknown}; this build knows {sorted(known)}")
        nested: dict[str, Any] = {
            "codec": CodecConfig.from_dict(values["codec"]),
            "loss": LossWeights(**values.get("loss", {})),
        }
        if sizes := values.get("discriminators"):
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
            nested["discriminators"] = DiscriminatorConfig(**settings)
        return cls(**{**values, **nested})


_NESTED = ("codec", "loss", "discriminators")

_WAVEFORM = dataclasses.replace(CodecConfig.named("hifi"), level_bands=0)
"""All codebooks carry the waveform; `hifi-levels` makes room in what was learned."""

RECIPES: dict[str, CodecTrainConfig] = {
    # First the waveform: SNR is learned fastest, and what follows the waveform can be shaped afterwards.
    "hifi": CodecTrainConfig(
        name="hifi",
        codec=_WAVEFORM,
        steps=800,
        quantize_from=150,
        final_learning_rate=1e-3,
        validate_every=200,
    ),
    # From weights that already follow the waveform (`--set init=...`): spend the bits where ears listen.
    "hifi-perceptual": CodecTrainConfig(
        name="hifi-perceptual",
        codec=_WAVEFORM,
        loss=LossWeights(snr=0.1, band=1.5, mel=0.7, stft=0.3),
        steps=2_000,
        warmup_steps=50,
        learning_rate=1.2e-3,
        final_learning_rate=1e-5,
        validate_every=250,
    ),
    # Last, what is heard: loudness in critical bands decides, the waveform's SNR is kept.
    "hifi-loudness": CodecTrainConfig(
        name="hifi-loudness",
        codec=_WAVEFORM,
        loss=LossWeights(snr=0.4, band=0.4, mel=0.15, loudness=1.0),
        steps=5_000,
        batch=10,
        crop_seconds=1.28,
        warmup_steps=100,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        quantize_from=0,
        validate_every=250,
    ),
    # Then the last codebook learns levels, from weights of the waveform that have none (`--set init=...`).
    "hifi-levels": CodecTrainConfig(
        name="hifi-levels",
        codec=dataclasses.replace(CodecConfig.named("hifi"), quantizer_dropout=0.15),
        loss=LossWeights(snr=1.6, bare=0.4, band=0.4, mel=0.7, energy=1.0, loudness=1.8),
        steps=3_500,
        batch=10,
        crop_seconds=1.28,
        warmup_steps=20,
        learning_rate=2e-4,
        final_learning_rate=2e-6,
        level_speed=4.0,
        quantize_from=0,
        validate_every=200,
    ),
    # The published recipe (adv 1, feat 10, recon 0.1, vq 1), for a GPU: on two cores a step takes seconds.
    "hifi-adversarial": CodecTrainConfig(
        name="hifi-adversarial",
        codec=_WAVEFORM,
        loss=LossWeights(snr=0.0, l1=0.1, mel=0.1, stft=0.1, commitment=1.0, adversarial=1.0, feature=10.0),
        discriminators=DiscriminatorConfig(period_width=32, stft_width=32),
        adversarial_from=1_000,
        steps=100_000,
        batch=64,
        learning_rate=5e-4,
    ),
    # Without the quantizer first, then k-means: codebooks that start early at 2 kbps collapse (measured).
    "dialogue": CodecTrainConfig(
        name="dialogue",
        codec=CodecConfig.named("dialogue"),
        loss=LossWeights(snr=0.0, mel=1.0, envelope=2.0, pitch=2.0, phones=0.1),
        steps=6_000,
        batch=16,
        crop_seconds=1.28,
        learning_rate=1.5e-3,
        final_learning_rate=2e-5,
        quantize_from=2_000,
        validate_every=250,
    ),
    "tiny-dialogue": CodecTrainConfig(
        name="tiny-dialogue",
        codec=CodecConfig.named("tiny-dialogue"),
        loss=LossWeights(snr=0.0, mel=1.0, stft=0.3, envelope=1.0, pitch=2.0, phones=0.1),
        steps=60,
        batch=2,
        crop_seconds=0.8,
        warmup_steps=5,
        quantize_from=20,
        validate_every=30,
        autocast=False,
    ),
    "tiny": CodecTrainConfig(
        name="tiny",
        codec=CodecConfig.named("tiny"),
        steps=60,
        batch=2,
        crop_seconds=0.25,
        warmup_steps=5,
        quantize_from=20,
        validate_every=30,
        autocast=False,
    ),
}
