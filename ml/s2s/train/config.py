"""Typed configuration of S2S training runs and their named recipes."""

from __future__ import annotations

from dataclasses import dataclass

from ml.codec.config import ConfigError
from ml.train.loop import LoopConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class S2STrainConfig(LoopConfig):
    """One run of `python -m ml train s2s`."""

    preset: str = "cpu"
    """Shape of the model (`ml.s2s.S2SConfig.named`)."""
    share_lm: float = 0.0
    """Share of batches that only continue speech of any kind: audio language model, no question, no plan."""
    share_dialogue: float = 1.0
    """Share of batches with questions and their answers."""
    share_style: float = 0.0
    """Share of batches that say a known answer in a given voice, emotion and manner, without a question."""
    share_ask: float = 0.0
    """Share of batches with questions alone, of which only the understanding learns: three times as many per second."""
    batch_frames: int = 3_200
    """Code frames per step, questions, answers and padding together."""
    out_of_domain: float = 0.12
    """Share of dialogue rows whose question is none of the corpus's (people, noise) and whose answer is a fallback."""
    with_context: float = 0.25
    """Share of dialogue rows that depend on earlier turns (chains and follow-ups)."""
    distracted: float = 0.25
    """Share of the other dialogue rows that remember one or two turns which have nothing to do with them."""
    past_turns: int = 10
    """At most this many earlier turns are remembered in training: each costs as much as a row of its own."""
    depth_share: float = 0.25
    """Share of answer frames on which codebooks 1 and up are trained; few are enough (as in CSM)."""
    level_weights: tuple[float, ...] = (1.0, 0.35, 0.25, 0.2, 0.15, 0.12, 0.1, 0.1)
    """Weight of each codebook's cross-entropy; the first carries what is said."""
    end_weight: float = 1.0
    """Weight of the end token among the first codebook's targets."""
    label_smoothing: float = 0.02
    """Of the codes' targets."""
    ctc: float = 0.5
    """Weight of CTC on the question's phones."""
    intent: float = 0.3
    """Weight of the intent's cross-entropy."""
    plan: float = 1.0
    """Weight of the choice among answers; every acceptable one is right."""
    phones: float = 0.5
    """Weight of the phones of the answer's frames."""
    advance: float = 0.5
    """Weight of the pointer's moves along the score of the answer."""
    hide_condition: float = 0.1
    """Chance of each condition to be hidden (classifier-free dropout)."""
    hide_plan: float = 0.02
    """Chance that the decoder is not told which answer it shall give."""
    hide_answer: float = 0.2
    """At most this share of answer frames is hidden from the decoder's input: it must not lean on its past alone."""
    fewer_levels: float = 0.3
    """Chance that a question is heard with fewer codebooks."""
    mask_spans: int = 2
    """At most this many stretches of a question are masked, each up to 6 frames (240 ms)."""
    question_noise: float = 0.4
    """At most this deviation of noise is added to half of the questions' latents."""
    end_silence: tuple[int, int] = (2, 10)
    """Frames of silence kept after the question, drawn from this range: 80 to 400 ms of endpointing."""
    lead_silence: int = 8
    """At most this many frames of silence are kept before the question."""

    def check(self) -> None:
        """Raises ConfigError on settings that cannot work."""
        LoopConfig.check(self)
        if self.share_lm + self.share_dialogue + self.share_style + self.share_ask <= 0:
            raise ConfigError("one of share_lm, share_dialogue, share_style and share_ask must be positive")
        if not 0 <= self.end_silence[0] <= self.end_silence[1]:
            raise ConfigError(f"end_silence is a range of frames, got {self.end_silence}")
        if self.batch_frames < 64:
            raise ConfigError(f"batch_frames must be at least 64, got {self.batch_frames}")


STAGES = ("lm", "dialogue", "style")
RECIPES: dict[str, S2STrainConfig] = {
    # The three stages one after another, for a GPU (each starts from the one before by `--set init=…`).
    "lm": S2STrainConfig(
        name="lm",
        preset="base",
        share_lm=1.0,
        share_dialogue=0.0,
        steps=60_000,
        batch_frames=40_000,
        learning_rate=6e-4,
        warmup_steps=1_000,
        validate_every=2_000,
        depth_share=1.0,
        average_decay=0.9995,
    ),
    "dialogue": S2STrainConfig(
        name="dialogue",
        preset="base",
        share_lm=0.05,
        share_dialogue=0.95,
        steps=100_000,
        batch_frames=40_000,
        learning_rate=4e-4,
        warmup_steps=1_000,
        validate_every=2_000,
        depth_share=0.5,
        average_decay=0.9995,
    ),
    "style": S2STrainConfig(
        name="style",
        preset="base",
        share_dialogue=0.4,
        share_style=0.6,
        hide_condition=0.15,
        steps=40_000,
        batch_frames=40_000,
        learning_rate=2e-4,
        warmup_steps=500,
        validate_every=2_000,
        depth_share=0.5,
        average_decay=0.9995,
    ),
    # An hour on two cores: too short for stages, so all of it is mixed from the first step on.
    "cpu-quick": S2STrainConfig(
        name="cpu-quick",
        share_ask=0.55,
        share_dialogue=0.2,
        share_style=0.25,
        with_context=0.15,
        distracted=0.06,
        past_turns=3,
        steps=1_000_000,
        schedule="wsd",
        decay_share=0.35,
        schedule_minutes=60.0,
        batch_frames=2_400,
        learning_rate=1.5e-3,
        final_learning_rate=1.5e-5,
        warmup_steps=100,
        validate_every=250,
        average_decay=0.99,
    ),
    "tiny": S2STrainConfig(
        name="tiny",
        preset="tiny",
        share_lm=0.2,
        share_dialogue=0.6,
        share_style=0.2,
        steps=30,
        batch_frames=400,
        learning_rate=3e-3,
        warmup_steps=5,
        validate_every=15,
        average_decay=0.9,
        autocast=False,
    ),
}
