"""Shape of the corpus files (pydantic models): one class for each kind of file and what it holds.

Lengths and characters are checked here, on one value at a time; what needs the whole corpus
(unique names, phrasings used twice, references) is checked by `ml.data.corpus.loader`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Emotion = Literal[
    "neutral", "happy", "laugh", "excited", "empathy", "surprise", "thinking", "telugu_heavy", "telugu_mild"
]
"""How an answer is said; the names are the slugs of the product's emotions."""
Split = Literal["train", "validation", "test"]
"""Which part of the data a phrasing belongs to."""
FollowKind = Literal["again", "why", "more", "other"]
"""What only makes sense after the turn before: once more, why, go on, and other (another one, a remark on it)."""

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FOLLOW_KINDS: tuple[FollowKind, ...] = ("again", "why", "more", "other")

MIN_WORDS, MAX_WORDS = 3, 18
"""Words of an answer. Shorter ones sound curt, longer ones are more than the small model can hold."""
MAX_ASK_WORDS = 20
"""Words of a question."""
MIN_TRAIN = 6
"""Training phrasings of an intent."""

ZWNJ = "\u200c"
# Telugu letters and signs without the digits (numbers are written as words), four marks and the non-joiner.
_ALLOWED = re.compile(r"[\u0c00-\u0c65 ,.?!\u200c]*")
_REFUSED = re.compile(r"[^\u0c00-\u0c65 ,.?!\u200c]")
_VIRAMA = "\u0c4d"


def words(text: str) -> list[str]:
    """Words of a text without its marks."""
    return re.sub(r"[,.?!]", " ", text).split()


def sound_key(text: str) -> str:
    """What a phrasing sounds like: equal keys are the same phrasing.

    Marks, spaces and non-joiners are not heard, nor is the difference between the two spellings of a doubled ళ.
    """
    text = unicodedata.normalize("NFC", text).replace(ZWNJ, "")
    return "".join(words(text)).replace("ళ్ళ", "ళ్ల")


def _telugu(text: str) -> str:
    if not _ALLOWED.fullmatch(text):
        odd = sorted(set(_REFUSED.findall(text)))
        named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in odd)
        raise ValueError(
            f"{named} in {text!r}: write Telugu script only, numbers as words, and no marks other than , . ? !"
        )
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError(f"{text!r} is not in Unicode form NFC: save it in that form")
    for position, character in enumerate(text):
        if character == ZWNJ and (position == 0 or text[position - 1] != _VIRAMA):
            raise ValueError(f"a non-joiner (U+200C) stands without a virama before it in {text!r}: remove it")
    if text != " ".join(text.split()):
        raise ValueError(f"{text!r} has spaces at an end or several in a row: remove them")
    return text


def _answer(text: str) -> str:
    count = len(words(text))
    if not MIN_WORDS <= count <= MAX_WORDS:
        change = "shorten" if count > MAX_WORDS else "lengthen"
        raise ValueError(f"{text!r} has {count} words: {change} it to {MIN_WORDS} to {MAX_WORDS}")
    return text


def _ask(text: str) -> str:
    count = len(words(text))
    if not 1 <= count <= MAX_ASK_WORDS:
        raise ValueError(f"{text!r} has {count} words: a question has 1 to {MAX_ASK_WORDS}")
    return text


TeluguText = Annotated[str, AfterValidator(_telugu)]
AnswerText = Annotated[TeluguText, AfterValidator(_answer)]
AskText = Annotated[TeluguText, AfterValidator(_ask)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
DottedSlug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=120)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Title(_Model):
    """A name in both languages of the product."""

    te: str = Field(min_length=1, max_length=80)
    en: str = Field(min_length=1, max_length=80)


class Answer(_Model):
    """One spoken answer and how it is said."""

    text: AnswerText
    emotion: Emotion


class _Phrasings(_Model):
    """Ways to say one thing, kept apart by split in the file itself."""

    train: list[AskText]
    validation: list[AskText]
    test: list[AskText]

    def of(self, split: Split) -> list[str]:
        """Phrasings of one split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def items(self) -> list[tuple[Split, str]]:
        """(split, phrasing), in the order of the file."""
        return [(split, text) for split in SPLITS for text in self.of(split)]


class Ask(_Phrasings):
    """Ways to say an intent or a follow-up."""

    train: list[AskText] = Field(min_length=MIN_TRAIN)
    validation: list[AskText] = Field(min_length=2)
    test: list[AskText] = Field(min_length=2)


class TurnAsk(_Phrasings):
    """Ways to say one turn of a chain: each means the same at its place in the conversation."""

    train: list[AskText] = Field(min_length=3)
    validation: list[AskText] = Field(min_length=1)
    test: list[AskText] = Field(min_length=1)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        keys = [sound_key(text) for _, text in self.items()]
        twice = next((text for number, (_, text) in enumerate(self.items()) if keys[number] in keys[:number]), None)
        if twice is not None:
            raise ValueError(f"{twice!r} stands twice in this turn: remove or reword one")
        return self


class Intent(_Model):
    """One thing that people say, the ways to say it, and the answers."""

    id: DottedSlug
    title: Title
    ask: Ask
    answers: list[Answer] = Field(min_length=2)
    why: Answer | None = None
    """Answer when the user then asks why."""
    more: Answer | None = None
    """Answer when the user then asks for more."""
    also: list[DottedSlug] = []
    """Other intents, every answer of which suits whatever is asked by this one, so that it is right here too."""

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if len({sound_key(a.text) for a in self.answers}) < len(self.answers):
            raise ValueError("two of its answers are the same: reword or remove one")
        return self


class TopicFile(_Model):
    """`<topic>.yaml`: the intents of one topic; their names begin with the topic's."""

    topic: Slug
    title: Title
    intents: list[Intent] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        for intent in self.intents:
            if intent.id.split(".")[0] != self.topic:
                raise ValueError(f"intent {intent.id} must be named {self.topic}.… after its topic: rename it")
        return self


class Turn(_Model):
    """A question and its answer inside a chain."""

    ask: TurnAsk
    answer: AnswerText
    emotion: Emotion
    intent: DottedSlug | None = None
    """The intent that the question is a case of, where it is one."""
    follow: FollowKind | None = None
    """The follow-up that the question is, where it is one."""
    suits_intent: bool = False
    """Of a first turn: the answer suits whatever is asked by `intent`, so it is right there too."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.suits_intent and self.intent is None:
            raise ValueError(f"turn {self.ask.train[0]!r} has suits_intent without intent: name the intent")
        if self.intent is not None and self.follow is not None:
            raise ValueError(
                f"turn {self.ask.train[0]!r} has both intent and follow: keep the one that its question is"
            )
        return self


class Chain(_Model):
    """A conversation of 2 to 10 turns, whose later answers depend on the earlier turns.

    Every chain is learned; what is held out is the wording of its turns.
    """

    id: DottedSlug
    turns: list[Turn] = Field(min_length=2, max_length=10)

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.turns[0].follow is not None:
            raise ValueError("its first turn is a follow-up, but nothing was said before: begin with a question")
        if any(turn.suits_intent for turn in self.turns[1:]):
            raise ValueError("a later turn has suits_intent: its answer stands after others, keep it for first turns")
        return self


class ChainsFile(_Model):
    """`chains-<name>.yaml`."""

    chains: list[Chain] = Field(min_length=1)


class FollowUp(_Model):
    """Ways to say one kind of follow-up, and the answers when nothing was said before it."""

    kind: FollowKind
    ask: Ask
    default: list[Answer] = Field(min_length=1)


class FollowUpsFile(_Model):
    """`followups.yaml`."""

    followups: list[FollowUp] = Field(min_length=1)


class FallbacksFile(_Model):
    """`fallbacks.yaml`: answers to what was not understood."""

    fallbacks: list[Answer] = Field(min_length=1)
