"""Reads a folder of corpus files, checks it as a whole and gives it typed.

Every problem of every file is collected before anything is raised: a writer mends them all in one go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ml.data.corpus.schema import (
    FOLLOW_KINDS,
    Answer,
    Ask,
    Chain,
    ChainsFile,
    FallbacksFile,
    FollowKind,
    FollowUp,
    FollowUpsFile,
    Intent,
    Split,
    TopicFile,
    Turn,
    TurnAsk,
    sound_key,
    words,
)

CORPUS_DIR = Path(__file__).parent / "te"
"""The corpus that ships with the product."""
MAX_BYTES = 2_000_000
"""Size limit of one file."""
SHOWN = 40
"""Problems told at once."""

_File = TypeVar("_File", bound=BaseModel)


class CorpusError(ValueError):
    """The corpus cannot be used; `problems` says for each what is wrong, where, and what to do."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        left = f"\n  … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in problems[:SHOWN])
        super().__init__(f"the corpus has {len(problems)} problem(s):{listed}{left}")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a corpus holds."""

    topics: int
    intents: int
    phrasings: dict[str, int]
    """Ways to say an intent or a follow-up, by split."""
    answers: int
    """Answers of intents with those to `why` and `more`, of chains, follow-ups and fallbacks."""
    emotions: dict[str, int]
    """Answers by emotion."""
    chains: int
    turns: int
    """Turns of all chains."""
    turn_phrasings: dict[str, int]
    """Ways to say the turns, by split."""
    longest_chain: int
    """Turns of the longest chain."""
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """A checked corpus; files in alphabetic order, their content in the order of the file."""

    folder: Path
    topics: tuple[TopicFile, ...]
    chains: tuple[Chain, ...]
    followups: dict[FollowKind, FollowUp]
    fallbacks: tuple[Answer, ...]

    @property
    def intents(self) -> dict[str, Intent]:
        """Intents of all topics by name."""
        return {intent.id: intent for topic in self.topics for intent in topic.intents}

    def answers(self) -> list[Answer]:
        """Every answer of the corpus, in its order."""
        found: list[Answer] = []
        for intent in self.intents.values():
            found += [*intent.answers, *(a for a in (intent.why, intent.more) if a is not None)]
        for chain in self.chains:
            found += [Answer(text=turn.answer, emotion=turn.emotion) for turn in chain.turns]
        for followup in self.followups.values():
            found += followup.default
        return [*found, *self.fallbacks]

    def held_out(self, split: Split) -> list[str]:
        """Every phrasing kept for a split (of intents, follow-ups and turns of chains); some stand twice."""
        asks: list[Ask | TurnAsk] = [intent.ask for intent in self.intents.values()]
        asks += [followup.ask for followup in self.followups.values()]
        asks += [turn.ask for chain in self.chains for turn in chain.turns]
        return [text for ask in asks for text in ask.of(split)]

    def counts(self) -> Counts:
        """How much there is of everything."""
        intents, answers = self.intents, self.answers()
        asks = [intent.ask for intent in intents.values()] + [f.ask for f in self.followups.values()]
        return Counts(
            topics=len(self.topics),
            intents=len(intents),
            phrasings=dict(Counter(split for ask in asks for split, _ in ask.items())),
            answers=len(answers),
            emotions=dict(Counter(answer.emotion for answer in answers).most_common()),
            chains=len(self.chains),
            turns=sum(len(chain.turns) for chain in self.chains),
            turn_phrasings=dict(
                Counter(split for chain in self.chains for t in chain.turns for split, _ in t.ask.items())
            ),
            longest_chain=max((len(chain.turns) for chain in self.chains), default=0),
            fallbacks=len(self.fallbacks),
        )


def load_corpus(folder: Path = CORPUS_DIR, more: Path | None = None) -> Corpus:
    """Read and check every `*.yaml` of a folder, and topics and chains of one's own in `more`.

    `followups.yaml`, `fallbacks.yaml` and `chains-*.yaml` are known by their names and may be absent (a writer
    checks one's own topics alone); every other file is a topic.

    Raises:
        CorpusError: with every problem found; each names the file, the intent or chain, and what to do.
    """
    if not folder.is_dir():
        raise CorpusError([f"{folder} is not a folder: give the folder of the corpus's .yaml files"])
    problems: list[str] = []
    topics: list[tuple[str, TopicFile]] = []
    chains: list[tuple[str, Chain]] = []
    followups: list[FollowUp] = []
    fallbacks: list[Answer] = []
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise CorpusError([f"{folder} has no .yaml files: give the folder of the corpus"])
    if more is not None:
        own = sorted(more.glob("*.yaml"))
        if not own:
            raise CorpusError([f"{more} has no .yaml files: give the folder of your own topics"])
        taken = {path.name for path in paths}
        problems += [
            f"{path.name}: the corpus has a file of that name: rename yours" for path in own if path.name in taken
        ]
        paths += [path for path in own if path.name not in taken]
    for path in paths:
        if path.name == "followups.yaml":
            if (held := _read(path, FollowUpsFile, problems)) is not None:
                followups = held.followups
        elif path.name == "fallbacks.yaml":
            if (kept := _read(path, FallbacksFile, problems)) is not None:
                fallbacks = kept.fallbacks
        elif path.name.startswith("chains-"):
            if (read := _read(path, ChainsFile, problems)) is not None:
                chains += [(path.name, chain) for chain in read.chains]
        elif (topic := _read(path, TopicFile, problems)) is not None:
            topics.append((path.name, topic))
            if topic.topic != path.stem:
                problems.append(f"{path.name}: topic is {topic.topic}: rename the file to {topic.topic}.yaml")
    # References to what could not be read would only be noise.
    problems += _Checker(topics, chains, followups, whole=not problems).run()
    if problems:
        raise CorpusError(problems)
    return Corpus(
        folder=folder,
        topics=tuple(topic for _, topic in topics),
        chains=tuple(chain for _, chain in chains),
        followups={f.kind: f for f in followups},
        fallbacks=tuple(fallbacks),
    )


class _Checker:
    """What only the corpus as a whole can tell."""

    def __init__(
        self,
        topics: list[tuple[str, TopicFile]],
        chains: list[tuple[str, Chain]],
        followups: list[FollowUp],
        *,
        whole: bool,
    ) -> None:
        self.problems: list[str] = []
        self.topics, self.chains, self.followups, self.whole = topics, chains, followups, whole
        self.places: dict[str, str] = {}
        """Name of an intent or chain -> the file that has it."""
        self.phrasings: dict[str, tuple[str, Split, str]] = {}
        """Sound of a phrasing -> (intent or follow-up kind, split, where it stands)."""
        self.bags: dict[tuple[str, ...], tuple[str, str]] = {}
        """Words of a phrasing, sorted -> (intent or follow-up kind, where)."""
        self.said: dict[str, tuple[Split, str]] = {}
        """Sound of a turn's phrasing -> (split, where it stands first)."""

    def run(self) -> list[str]:
        for file, topic in self.topics:
            for intent in topic.intents:
                self._name(file, intent.id)
                for split, text in intent.ask.items():
                    self._phrasing(f"{file}: intent {intent.id}: {split}", intent.id, split, text)
        if self.whole:
            for file, topic in self.topics:
                for intent in topic.intents:
                    self._also(f"{file}: intent {intent.id}", intent)
        for followup in self.followups:
            if [f.kind for f in self.followups].count(followup.kind) > 1:
                self.problems.append(f"followups.yaml: kind {followup.kind} stands twice: join them")
            for split, text in followup.ask.items():
                self._phrasing(f"followups.yaml: kind {followup.kind}: {split}", followup.kind, split, text)
        if self.followups and self.whole:
            missing = [kind for kind in FOLLOW_KINDS if kind not in {f.kind for f in self.followups}]
            if missing:
                self.problems.append(f"followups.yaml: no kind {', '.join(missing)}: add it")
        for file, chain in self.chains:
            self._name(file, chain.id)
            self._chain(f"{file}: chain {chain.id}", chain)
        return self.problems

    def _name(self, file: str, name: str) -> None:
        if name in self.places:
            self.problems.append(f"{file}: {name} is also in {self.places[name]}: rename one of them")
        self.places.setdefault(name, file)

    def _also(self, where: str, intent: Intent) -> None:
        """Other intents whose answers are right too: there are such, each once, and not itself."""
        intents = {other.id for _, topic in self.topics for other in topic.intents}
        for name in intent.also:
            if name not in intents or name == intent.id or intent.also.count(name) > 1:
                self.problems.append(f"{where}: also: {name} is no other intent, or stands twice: correct or remove it")

    def _phrasing(self, where: str, owner: str, split: Split, text: str) -> None:
        key, bag = sound_key(text), tuple(sorted(words(text)))
        if key in self.phrasings:
            other = self.phrasings[key][2]
            self.problems.append(f"{where}: {text!r} is already in [{other}]: remove or reword one")
            return
        self.phrasings[key] = (owner, split, where)
        other_owner, other = self.bags.setdefault(bag, (owner, where))
        if other_owner != owner:
            self.problems.append(f"{where}: {text!r} has the same words as a phrasing of [{other}]: reword one")

    def _chain(self, where: str, chain: Chain) -> None:
        for number, turn in enumerate(chain.turns, start=1):
            at = f"{where}: turn {number}"
            if self.whole and turn.intent is not None and turn.intent not in self.places:
                self.problems.append(f"{at}: there is no intent {turn.intent}: correct the name, or leave intent out")
            for split, text in turn.ask.items():
                self._turn(f"{at}: {split}", turn, split, text)

    def _turn(self, where: str, turn: Turn, split: Split, text: str) -> None:
        """A turn may be said as an intent, a follow-up or another turn is, but then for the same split."""
        key = sound_key(text)
        other, place = self.said.setdefault(key, (split, where))
        if key in self.phrasings:
            owner, other, place = self.phrasings[key]
            if owner != (turn.follow or turn.intent):
                name = "follow" if owner in FOLLOW_KINDS else "intent"
                self.problems.append(
                    f"{where}: {text!r} is a phrasing of [{place}]: write {name}: {owner}, or reword it"
                )
        if other != split:
            self.problems.append(f"{where}: {text!r} is kept for {other} by [{place}]: reword one of them")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which a key may not stand twice (plain YAML would silently drop the first)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice here", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read(path: Path, model: type[_File], problems: list[str]) -> _File | None:
    """One file as its model; problems are appended."""
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            problems.append(f"{path.name}: {len(content)} bytes are more than {MAX_BYTES}: split the file")
            return None
        # Aliases could blow a small file up to any size, and nobody needs them here.
        for event in yaml.parse(content, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark is not None else "?"
                problems.append(f"{path.name}: line {line}: write the text out, without an alias")
                return None
        data = yaml.load(content, Loader=_Loader)
    except OSError as error:
        problems.append(f"{path.name}: cannot be read ({error.strerror}): check the file")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"line {mark.line + 1}: " if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        problems.append(f"{path.name}: {at}not readable as YAML ({said}): correct it, texts in double quotes")
        return None
    if not isinstance(data, dict):
        problems.append(f"{path.name}: must hold the keys {', '.join(model.model_fields)}")
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += [_told(path.name, data, dict(one)) for one in error.errors(include_url=False)]
        return None


def _told(file: str, data: dict[str, Any], error: dict[str, Any]) -> str:
    """A validation error as one sentence that names the file, the intent or chain, and the remedy."""
    place: Any = data
    kinds = {"intents": "intent", "chains": "chain", "followups": "kind", "fallbacks": "fallback"}
    said, rest = [file], ""
    steps = list(error["loc"])
    if len(steps) >= 2 and steps[0] in kinds and isinstance(steps[1], int):
        place = data[steps[0]][steps[1]]
        named = place.get("id") or place.get("kind") if isinstance(place, dict) else None
        said.append(f"{kinds[steps[0]]} {named or f'number {steps[1] + 1}'}")
        steps = steps[2:]
    for step in steps:
        rest += f" {step + 1}" if isinstance(step, int) else f".{step}" if rest else str(step)
    said += [rest] if rest else []
    given = error["input"]
    match error["type"]:
        case "value_error":
            said.append(str(error["ctx"]["error"]))
        case "missing":
            said.append("is missing: add it")
        case "extra_forbidden":
            said.append("is not a key of this format: correct its name or remove it")
        case "too_short":
            said.append(f"has {error['ctx']['actual_length']}, needs {error['ctx']['min_length']} or more: write more")
        case "too_long":
            said.append(f"has {error['ctx']['actual_length']}, may have {error['ctx']['max_length']}: remove some")
        case "literal_error":
            said.append(f"{given!r} is not known: use {error['ctx']['expected']}")
        case "string_type":
            said.append(f"{given!r} is not text: put it in double quotes")
        case "string_pattern_mismatch":
            said.append(f"{given!r} is no valid name: use small Latin letters, digits and _ (intents: topic.name)")
        case _:
            said.append(f"{error['msg']} ({given!r}): correct it")
    return ": ".join(said)
