"""A toy PairSet: questions of an intent share a pattern of codes, answers are patterns of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ml.train.codec import Stop
from ml.train.loop import LoopTrainer

SPEAKERS = ("arjun", "ravi", "priya", "lakshmi")
WORDS = ("నమస్కారం", "మీరు ఎలా ఉన్నారు", "నాకు ఆకలేస్తోంది", "మళ్ళీ చెప్పండి", "సరే వెళ్ళొస్తాను")


class ToyText(NamedTuple):
    text: str
    emotion: str


@dataclass
class ToyClip:
    id: str
    codes: Any
    phones: tuple[int, ...]
    frame_phones: Any
    speech: tuple[int, int]
    text: str
    speaker: str
    split: str = "train"
    answer_id: str = ""
    emotion: str = "neutral"
    controls: tuple[float, ...] = (0.0, 0.0, 1.0, 0.0, 1.0)


@dataclass
class ToyPair:
    id: str
    question: int
    answer: int
    answers: tuple[str, ...]
    intent: str
    kind: str
    split: str
    group: str
    context: tuple[tuple[int, str], ...] = ()
    phrasing_split: str = "train"
    talker_split: str = "train"


@dataclass
class ToyPairs:
    """Duck type of `ml.data.pairs.PairSet`."""

    questions: list[ToyClip] = field(default_factory=list)
    answers: list[ToyClip] = field(default_factory=list)
    pairs: list[ToyPair] = field(default_factory=list)
    intents: tuple[str, ...] = ()
    texts: dict[str, Any] = field(default_factory=dict)

    def renderings(self, answer_id: str) -> list[int]:
        return [i for i, clip in enumerate(self.answers) if clip.answer_id == answer_id]


def toy_pairs(intents: int = 3, levels: int = 8, talkers: int = 4) -> ToyPairs:
    """`intents` intents, each asked by `talkers` talkers (the last is for validation), one answer in two voices."""
    rng = np.random.default_rng(0)
    found = ToyPairs(intents=(*(f"i{n}" for n in range(intents)), "fallback"))
    names = [f"a{n}" for n in range(intents)] + ["fallback.0", "follow.0"]

    def clip(pattern: int, noise: int, frames: int, **more: Any) -> ToyClip:
        base = np.random.default_rng(pattern).integers(0, 1024, (levels, 8))
        codes = np.tile(base, (1, 4))[:, :frames].copy()
        codes[4:] = np.random.default_rng(noise).integers(0, 1024, codes[4:].shape)
        phones = tuple(int(p) for p in np.random.default_rng(pattern).integers(1, 40, frames // 4))
        return ToyClip(
            f"{pattern}-{noise}", codes.astype(np.uint16), phones, np.repeat(phones, 4)[:frames].astype(np.uint8),
            (2, frames - 4), str(pattern), **more,
        )  # fmt: skip

    for number, name in enumerate(names):
        found.texts[name] = ToyText(WORDS[number % len(WORDS)], "happy")
        for speaker in SPEAKERS[:2]:
            found.answers.append(
                clip(100 + number, int(rng.integers(1e6)), 12, speaker=speaker, answer_id=name, emotion="happy")
            )
    for talker in range(talkers):
        split = "train" if talker < talkers - 1 else "validation"
        for number in range(intents + 1):
            fallback = number == intents
            found.questions.append(clip(number, int(rng.integers(1e6)), 16, speaker=f"talker-{talker}", split=split))
            at = len(found.questions) - 1
            answer = "fallback.0" if fallback else f"a{number}"
            kind = "out_of_domain" if fallback else "intent"
            group = split if split == "train" else ("out_of_domain" if fallback else "voices")
            found.pairs.append(
                ToyPair(f"p{at}", at, found.renderings(answer)[0], (answer,), found.intents[number], kind, split, group)
            )
        found.questions.append(clip(50, int(rng.integers(1e6)), 16, speaker=f"talker-{talker}", split=split))
        at = len(found.questions) - 1
        group = split if split == "train" else "followups"
        said = found.renderings("follow.0")[0]
        context = ((at - intents - 1, "a0"),)
        found.pairs.append(ToyPair(f"p{at}", at, said, ("follow.0",), "follow.why", "followup", split, group, context))
    return found


def losses_of(trainer: LoopTrainer[Any], until: int | None = None) -> list[float]:
    """Loss of every step of a run, to its end or to step `until`."""
    found: list[float] = []
    stop = Stop()

    def report(row: dict[str, Any]) -> None:
        found.append(row["loss"])
        stop.asked = row["step"] == until

    trainer.fit(report, stop, 60)
    return found
