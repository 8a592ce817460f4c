"""Typed configuration of TeluCodec and its named presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Self


class ConfigError(ValueError):
    """A codec configuration that cannot work; the message says which field and why."""


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """Shape of one codec. Two configs that compare equal load each other's weights."""

    preset: str
    """Name under which weights of this shape are published."""
    sample_rate: int = 16_000
    """Samples per second of mono audio in [-1, 1]."""
    hop: int = 80
    """Samples per frame; the frame rate is sample_rate / hop."""
    encoder_width: int = 256
    """Channels of the encoder's residual stream."""
    decoder_width: int = 256
    """Channels of the decoder's residual stream."""
    hidden: int = 512
    """Channels inside a residual unit, between its two convolutions."""
    kernel: int = 3
    """Taps of each residual unit's causal convolution."""
    encoder_dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    """One residual unit per entry; an entry is the dilation in frames."""
    decoder_dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4)
    """As encoder_dilations, for the decoder."""
    patch_taps: int = 4
    """Frames of samples that the analysis convolution sees (its window is patch_taps * hop samples)."""
    head_taps: int = 4
    """Frames that overlap in the synthesis head (overlap-add of head_taps * hop samples)."""
    delay_frames: int = 4
    """Whole frames by which decoded audio lags the input."""
    delay_extra: int = 0
    """Samples of delay beyond whole frames; the algorithmic delay is one frame more than both together."""
    front: Literal["patch", "spectral"] = "patch"
    """Analysis: a learned lapped transform of samples, or log-mel and low harmonics (`ml.codec.spectral`)."""
    head: Literal["overlap_add", "harmonic"] = "overlap_add"
    """Synthesis: overlap-add of learned frames, or harmonics plus noise (`ml.codec.harmonic`)."""
    subframes: int = 1
    """Spectral front and harmonic head: blocks per frame at which spectra are read and written."""
    fine_width: int = 256
    """Channels of the residual stream at the rate of blocks."""
    fine_hidden: int = 448
    """As hidden, at the rate of blocks."""
    encoder_fine_dilations: tuple[int, ...] = (1, 2)
    """Residual units of the encoder at the rate of blocks."""
    decoder_fine_dilations: tuple[int, ...] = (1, 2, 4, 1)
    """Residual units of the decoder at the rate of blocks."""
    harmonic_bands: int = 64
    """Points, even on the mel scale, of the envelope of the harmonics."""
    noise_bands: int = 40
    """The same for the noise."""
    companding: bool = False
    """Divide frames by their level before analysis, and multiply by a decoded level before synthesis."""
    code_dim: int = 64
    """Dimension of the space in which vectors are quantized (factorised codes)."""
    n_quantizers: int = 8
    """Residual codebooks."""
    codebook_size: int = 1_024
    """Entries of each codebook."""
    beam: int = 1
    """Sequences of codes that `encode` follows through the levels; 1 takes each level's nearest entry."""
    level_bands: int = 0
    """Bands whose level the last codebook carries instead of another residual (`ml.codec.levels`); 0 for none."""
    level_width: int = 96
    """Channels of the networks that code and decode these levels."""
    level_leak: float = 0.9
    """How much of the last frame's levels the next frame starts from."""
    l2_normalize: bool = False
    """Quantize directions only (cosine codebooks, as in DAC) instead of vectors."""
    quantizer_dropout: float = 0.2
    """Share of training rows that use a random number of codebooks, so that any prefix decodes."""
    ema_decay: float = 0.99
    """Decay of the codebooks' exponential moving averages."""
    commitment: float = 0.25
    """Weight of the commitment term inside the quantizer's loss."""
    revival: float = 0.02
    """A code chosen less often than this share of an even choice moves to where data are."""
    input_gain: float = 8.0
    """Scale between samples and the network, so that ordinary speech has about unit variance inside."""

    def __post_init__(self) -> None:
        if self.hop < 1 or self.sample_rate % self.hop:
            raise ConfigError(f"hop must divide sample_rate: {self.hop} does not divide {self.sample_rate}")
        if not 2 <= self.codebook_size <= 65_536:
            raise ConfigError(f"codebook_size must be 2 to 65536 (codes travel as u16), got {self.codebook_size}")
        if self.n_quantizers < 1:
            raise ConfigError(f"n_quantizers must be at least 1, got {self.n_quantizers}")
        if not 1 <= self.beam <= self.codebook_size:
            raise ConfigError(f"beam must be 1 to codebook_size, got {self.beam}")
        if not self.encoder_dilations or not self.decoder_dilations:
            raise ConfigError("encoder_dilations and decoder_dilations need at least one unit each")
        if self.front not in ("patch", "spectral") or self.head not in ("overlap_add", "harmonic"):
            raise ConfigError(
                f"front is patch or spectral, head overlap_add or harmonic; got {self.front}, {self.head}"
            )
        if self.level_bands and (self.head != "overlap_add" or self.level_bands < 2 or self.n_quantizers < 2):
            raise ConfigError("level_bands needs an overlap_add head, two bands and two codebooks at least")
        if self.subframes < 1 or self.hop % self.subframes:
            raise ConfigError(f"subframes must divide hop: {self.subframes} does not divide {self.hop}")
        if not 0.0 <= self.quantizer_dropout <= 1.0:
            raise ConfigError(f"quantizer_dropout is a probability, got {self.quantizer_dropout}")

    @property
    def waveform_quantizers(self) -> int:
        """Codebooks that carry the waveform: all, or all but the one that carries levels."""
        return self.n_quantizers - bool(self.level_bands)

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def delay_samples(self) -> int:
        """Samples by which streamed output lags the input."""
        return self.delay_frames * self.hop + self.delay_extra

    @property
    def algorithmic_delay_ms(self) -> float:
        """Delay without any computing time: the frame being collected and the look-ahead."""
        return 1000.0 * (self.delay_samples + self.hop) / self.sample_rate

    def kbps(self, n_quantizers: int | None = None) -> float:
        """Bit rate in kilobits per second for `n_quantizers` codebooks (all by default)."""
        bits = (self.codebook_size - 1).bit_length()
        return (n_quantizers or self.n_quantizers) * bits * self.frame_rate / 1000.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping, the form stored in model cards."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises ConfigError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown codec settings {unknown}; this build knows {sorted(known)}")
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**settings)

    @classmethod
    def named(cls, preset: str) -> CodecConfig:
        """A preset by name. Raises ConfigError listing the names there are."""
        try:
            return PRESETS[preset]
        except KeyError:
            raise ConfigError(f"no codec preset {preset!r}; choose one of {', '.join(PRESETS)}") from None


_DIALOGUE = CodecConfig(
    preset="dialogue",
    hop=640,
    front="spectral",
    head="harmonic",
    subframes=4,
    delay_frames=0,
    delay_extra=320,
    encoder_width=320,
    decoder_width=320,
    hidden=640,
    encoder_dilations=(1, 2, 4, 1),
    decoder_dilations=(1, 2, 4, 1),
    quantizer_dropout=0.1,
)

PRESETS: dict[str, CodecConfig] = {
    "dialogue": _DIALOGUE,
    "tiny-dialogue": dataclasses.replace(
        _DIALOGUE,
        preset="tiny-dialogue",
        encoder_width=32,
        decoder_width=32,
        hidden=48,
        fine_width=24,
        fine_hidden=32,
        encoder_dilations=(1, 2),
        decoder_dilations=(1, 2),
        encoder_fine_dilations=(1,),
        decoder_fine_dilations=(1,),
        code_dim=16,
    ),
    "hifi": CodecConfig(
        preset="hifi",
        encoder_width=320,
        decoder_width=320,
        hidden=512,
        companding=True,
        level_bands=28,
        level_leak=0.85,
    ),
    "tiny": CodecConfig(
        preset="tiny",
        encoder_width=32,
        decoder_width=32,
        hidden=48,
        encoder_dilations=(1, 2),
        decoder_dilations=(1, 2),
        companding=True,
        code_dim=16,
        level_bands=6,
        level_width=24,
    ),
}
