"""Typed configuration of the speech-to-speech model and its named presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self


class S2SConfigError(ValueError):
    """A configuration that cannot work; the message says which field and why."""


@dataclass(frozen=True, slots=True)
class S2SConfig:
    """Shape of one S2S model. Two configs that compare equal load each other's weights."""

    preset: str
    """Name under which weights of this shape are published."""
    levels: int = 8
    """Residual codebooks of the codec that it reads and writes."""
    codebook_size: int = 1_024
    """Entries of each codebook."""
    code_dim: int = 64
    """Dimension of the codec's codebook vectors, which are copied into the model and never trained."""
    frame_rate: float = 25.0
    """Code frames per second."""
    encoder_width: int = 256
    """Channels of the encoder's residual stream, of the turn summaries and of the memory."""
    encoder_layers: int = 4
    """Conformer blocks."""
    encoder_heads: int = 4
    """Attention heads of the encoder."""
    encoder_ffn: int = 2
    """Width of each of a block's two feed-forward layers, in multiples of encoder_width."""
    conv_taps: int = 9
    """Taps of the causal depthwise convolution."""
    chunk: int = 4
    """Frames that the encoder reads at once: they see each other and `lookback` frames before them."""
    lookback: int = 96
    """Frames before the chunk that the encoder's attention sees; a multiple of chunk."""
    question_frames: int = 256
    """Newest question frames that the summary and the decoder attend to."""
    summary_slots: int = 4
    """Vectors that sum up one side of one turn."""
    memory_turns: int = 10
    """Earlier turns that a row remembers."""
    decoder_width: int = 256
    """Channels of the decoder's residual stream."""
    decoder_layers: int = 6
    """Decoder blocks."""
    decoder_heads: int = 4
    """Attention heads of the decoder, in self- and cross-attention."""
    fusion_layers: int = 1
    """Layers in which the question's summary looks at the memory."""
    decoder_ffn: int = 3
    """Width of the decoder's feed-forward layers in multiples of decoder_width."""
    window: int = 256
    """Frames that the decoder's self-attention sees (its ring cache)."""
    max_frames: int = 375
    """Hard limit of an answer in frames."""
    condition_width: int = 192
    """Dimension of the vector that modulates every decoder layer."""
    depth_width: int = 192
    """Width of the depth head, which predicts the levels of a frame one after another."""
    speakers: tuple[str, ...] = ("arjun", "ravi", "priya", "lakshmi")
    """Slugs of the speaker table, in index order; other voices are blends of them."""
    emotions: tuple[str, ...] = (
        "neutral", "happy", "laugh", "excited", "empathy", "surprise", "thinking", "telugu_heavy", "telugu_mild",
    )  # fmt: skip
    """Slugs of the emotion table, in index order."""
    n_phones: int = 49
    """Phones of the inventory, for the CTC and the frame-phone heads."""
    n_intents: int = 0
    """Intents of the auxiliary classifier; 0 leaves it out."""
    n_plans: int = 0
    """Answers among which the plan head chooses before the decoder speaks; 0 leaves the plan out."""
    score_length: int = 0
    """Phones of the longest plan's score (`ml.s2s.score`); 0 leaves scores out."""
    score_width: int = 128
    """Dimension of a score's phone vectors."""
    phrase_buckets: int = 0
    """Buckets of phone n-grams from which the plan is chosen (`ml.s2s.acts`); 0 chooses it from the summary."""
    n_acts: int = 0
    """Dialogue acts that the n-grams tell apart; each calls for some of the plans."""
    phrase_known: int = 0
    """Known phrasings with which what was heard is compared phone by phone, beside the n-grams."""
    phrase_length: int = 48
    """Phones of a known phrasing that are kept."""
    phrase_width: int = 96
    """Dimension of an n-gram's vector."""
    second_layers: int = 0
    """Blocks that read the whole question again once it is over (`ml.s2s.second`); 0 leaves the second reading out."""
    second_passes: int = 2
    """How often those blocks are gone through."""
    ctc_layer: int = 3
    """Encoder blocks below the CTC head; its posterior is fed back to the blocks above (self-conditioning)."""
    dropout: float = 0.1
    """Dropout on the branches of the encoder, in training."""

    def __post_init__(self) -> None:
        for width, heads, side in (
            (self.encoder_width, self.encoder_heads, "encoder"),
            (self.decoder_width, self.decoder_heads, "decoder"),
        ):
            if width % heads or (width // heads) % 2:
                raise S2SConfigError(f"{side}_width {width} must split into {side}_heads {heads} even parts (RoPE)")
        if self.lookback % self.chunk:
            raise S2SConfigError(f"lookback {self.lookback} must be a multiple of chunk {self.chunk}")
        if not 1 <= self.ctc_layer <= self.encoder_layers:
            raise S2SConfigError(f"ctc_layer must be 1 to encoder_layers ({self.encoder_layers}), got {self.ctc_layer}")
        if self.second_layers < 0 or self.second_passes < 1:
            raise S2SConfigError("second_layers must not be negative, second_passes at least 1")
        if self.second_layers and not self.conv_taps % 2:
            raise S2SConfigError(f"second_layers need conv_taps with a middle, an odd number; got {self.conv_taps}")
        if min(self.levels, self.chunk, self.window, self.max_frames, self.summary_slots, self.memory_turns) < 1:
            raise S2SConfigError("levels, chunk, window, max_frames, summary_slots and memory_turns must be at least 1")
        if self.score_length and not self.n_plans:
            raise S2SConfigError("score_length needs n_plans: a score belongs to a plan")
        if self.phrase_buckets and not (self.n_plans and self.n_acts):
            raise S2SConfigError("phrase_buckets needs n_plans and n_acts: phrases tell acts, which choose a plan")
        if self.question_frames < self.chunk or self.conv_taps < 2:
            raise S2SConfigError("question_frames must be at least chunk, and conv_taps at least 2")

    @property
    def n_speakers(self) -> int:
        """Speakers of the table."""
        return len(self.speakers)

    @property
    def n_emotions(self) -> int:
        """Emotions of the table."""
        return len(self.emotions)

    @property
    def end_code(self) -> int:
        """Token of level 0 that ends an answer."""
        return self.codebook_size

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping, the form stored in model cards."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Raises S2SConfigError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise S2SConfigError(f"unknown S2S settings {unknown}; this build knows {sorted(known)}")
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**settings)

    @classmethod
    def named(cls, preset: str, **changes: Any) -> S2SConfig:
        """A preset by name, with some fields changed. Raises S2SConfigError listing the names there are."""
        try:
            return dataclasses.replace(PRESETS[preset], **changes)
        except KeyError:
            raise S2SConfigError(f"no S2S preset {preset!r}; choose one of {', '.join(PRESETS)}") from None


PRESETS: dict[str, S2SConfig] = {
    "cpu": S2SConfig(preset="cpu"),
    "base": S2SConfig(
        preset="base",
        encoder_width=512,
        encoder_layers=6,
        encoder_heads=8,
        decoder_width=512,
        decoder_layers=6,
        decoder_heads=8,
        decoder_ffn=4,
        condition_width=384,
        depth_width=384,
        ctc_layer=4,
    ),
    "large": S2SConfig(
        preset="large",
        encoder_width=768,
        encoder_layers=12,
        encoder_heads=12,
        encoder_ffn=4,
        decoder_width=768,
        decoder_layers=12,
        decoder_heads=12,
        decoder_ffn=4,
        window=512,
        max_frames=750,
        condition_width=512,
        depth_width=512,
        ctc_layer=8,
    ),
    "tiny": S2SConfig(
        preset="tiny",
        encoder_width=32,
        encoder_layers=2,
        encoder_heads=2,
        conv_taps=5,
        lookback=16,
        question_frames=24,
        summary_slots=2,
        memory_turns=3,
        decoder_width=32,
        decoder_layers=2,
        decoder_heads=2,
        window=20,
        max_frames=32,
        condition_width=24,
        depth_width=24,
        score_width=16,
        ctc_layer=1,
        dropout=0.0,
    ),
}
