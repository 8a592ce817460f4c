"""What pairs are made of: clips to render, pairs of them, and the rows of `manifest.jsonl`.

A clip's id is a hash of everything that decides how it sounds, so clips are shared between pairs, a changed corpus
renders only what is new, and a file that is there is the right one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from ml.data.corpus.schema import Split

RENDER_VERSION = 2
"""Raised when rendering changes what the same plan sounds like: every clip is then made anew."""

ClipKind = Literal["voice", "talker", "human", "noise"]
"""voice: an answer by one of the product's voices. The rest are questions: by a synthetic talker, a recording of a
person, or nobody (noise alone)."""
PairKind = Literal["intent", "followup", "chain", "out_of_domain"]
Group = Literal["train", "seen", "phrasings", "voices", "both", "followups", "chains", "out_of_domain"]
"""What is new to the model in a pair of validation or test: nothing but the recording (`seen`), the phrasing, the
talker's voice, both, a follow-up with its phrasing and talker, a whole chain, or speech outside the corpus."""
GROUPS: tuple[Group, ...] = ("seen", "phrasings", "voices", "both", "followups", "chains", "out_of_domain")

ControlValues = tuple[float, float, float, float, float]
"""pitch (semitones), energy (dB), rate (x), accent (0 to 1), intensity of the emotion (0 to 1)."""
NEUTRAL: ControlValues = (0.0, 0.0, 1.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """One clip to render."""

    kind: ClipKind
    text: str
    """What is said; "" where nobody knows (human recordings without a transcript, noise)."""
    speaker: str
    """Slug of the voice, `talker-<seed>`, or the label of a human speaker."""
    split: Split
    """Split whose talkers the speaker belongs to; answers' voices are in all and say `train`."""
    emotion: str = ""
    controls: ControlValues = NEUTRAL
    seed: int = 0
    """Of the performance."""
    talker: int = 0
    """Seed of the synthetic talker."""
    variation: int | None = None
    """Seed of room, noise and telephone; None leaves the clip clean."""
    lead: float = 0.0
    tail: float = 0.0
    """Seconds of silence put before and after the speech, before room and noise come over it."""
    source: str = ""
    """sha256 of the recording that a human or noise clip is cut from."""
    surroundings: str = ""
    """Fingerprint of the noise and room files that a varied clip is made with."""

    id: str = field(init=False, default="")
    """Hash of all that decides the sound (16 hex digits); who may hear it, the split, is no part of it."""

    def __post_init__(self) -> None:
        told = (
            *(RENDER_VERSION, self.kind, self.text, self.speaker, self.emotion, self.controls, self.seed, self.talker),
            *(self.variation, self.lead, self.tail, self.source, self.surroundings),
        )
        object.__setattr__(self, "id", hashlib.sha256(repr(told).encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A question and the answer to it."""

    id: str
    question: str
    """Clip id."""
    answer: str
    """Clip id of one rendering of an acceptable answer."""
    answers: tuple[str, ...]
    """Ids of every acceptable answer text, the rendered one first."""
    intent: str
    """The corpus' intent, `follow.<kind>`, or `fallback`."""
    kind: PairKind
    split: Split
    group: Group
    phrasing_split: Split
    """Split that the question's words belong to."""
    talker_split: Split
    """Split that the question's talker belongs to."""
    context: tuple[str, ...] = ()
    """Ids of the pairs before it in the same conversation, oldest first."""


@dataclass(frozen=True, slots=True)
class AnswerText:
    """One answer of the corpus."""

    id: str
    text: str
    emotion: str
    """How the corpus wants it said."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to be made; a pure function of corpus, size, seed and the given files."""

    size: str
    seed: int
    clips: dict[str, ClipSpec]
    """By id, in the order of rendering: a prefix of it is a balanced set of its own."""
    pairs: tuple[PairSpec, ...]
    """In the order in which they become complete."""
    answers: dict[str, AnswerText]
    clip_answer: dict[str, str]
    """Answer clip id -> answer id."""

    @property
    def digest(self) -> str:
        """Fingerprint of the whole plan."""
        told = [self.size, self.seed, list(self.clips), [(pair.id, pair.answers) for pair in self.pairs]]
        return hashlib.sha256(repr(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A rendered clip as `manifest.jsonl` has it (`"type": "clip"`)."""

    id: str
    path: str
    """FLAC file (16 kHz mono), relative to the folder."""
    sha256: str
    samples: int
    bytes: int
    kind: ClipKind
    text: str
    speaker: str
    split: Split
    emotion: str
    controls: ControlValues
    speech: tuple[float, float]
    """Seconds at which speech begins and ends."""
    phones: list[tuple[str, float, float]] = field(default_factory=list)
    """(symbol, start, end) in seconds, pauses included; empty where nobody knows."""
    answer: str = ""
    """Answer id of an answer clip."""
    varied: bool = False
    """Room, noise or telephone were put over it."""
    engine: str = ""

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> ClipRow:
        row = {key: value for key, value in row.items() if key != "type"}
        row["controls"], row["speech"] = tuple(row["controls"]), tuple(row["speech"])
        row["phones"] = [(symbol, start, end) for symbol, start, end in row["phones"]]
        return cls(**row)


def pair_from_dict(row: dict[str, Any]) -> PairSpec:
    """A pair's row (`"type": "pair"`) typed again."""
    row = {key: value for key, value in row.items() if key != "type"}
    row["answers"], row["context"] = tuple(row["answers"]), tuple(row["context"])
    return PairSpec(**row)
