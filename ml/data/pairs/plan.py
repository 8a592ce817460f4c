"""From corpus, size and seed to the list of clips and pairs: pure and deterministic, nothing is rendered here.

Clips stay the same while the corpus grows at the end of its lists: each phrasing has random numbers of its own, apart
from those of the answers, and choices among phrasings are made by rank. So what was rendered once is used again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ml.data.corpus.loader import Corpus
from ml.data.corpus.schema import MIN_TRAIN, SPLITS, Answer, Chain, FollowKind, Intent, Split, sound_key
from ml.data.pairs.answers import AnswerBook
from ml.data.pairs.rewording import load_synonyms, reword
from ml.data.pairs.schema import ClipSpec, Group, PairKind, PairSpec, Plan
from ml.data.pairs.sizes import LONG_ANSWER, Size
from ml.data.pairs.sources import Recording, Sources, split_by_hash

_FIRST_TALKER: dict[Split, int] = {"train": 1, "validation": 1_000_001, "test": 2_000_001}
"""Talkers' seeds by split never meet, whatever the size."""
_CLEAN = 0.3
"""Share of questions without room, noise or telephone."""
_HUMAN, _NOISE = 0.45, 0.1
"""Shares of out-of-domain questions that are recordings of people, and of noise alone, where folders are given."""
_Item = TypeVar("_Item")


def plan_pairs(corpus: Corpus, size: Size, seed: int, sources: Sources | None = None) -> Plan:
    """List every clip and pair of `size`; equal arguments give equal plans."""
    return _Planner(corpus, size, seed, sources or Sources()).run()


class _Planner:
    def __init__(self, corpus: Corpus, size: Size, seed: int, sources: Sources) -> None:
        self.corpus, self.size, self.seed, self.sources = corpus, size, seed, sources
        self.clips: dict[str, ClipSpec] = {}
        self.pairs: list[PairSpec] = []
        self.intents = list(corpus.intents.values())
        if size.intents is not None:
            self.intents = [intent for intent in self.intents if intent.why and intent.more][: size.intents]
        self.book = AnswerBook(size, seed)
        self.synonyms = load_synonyms()
        self.kept = {sound_key(text) for split in SPLITS[1:] for text in corpus.held_out(split)}
        """What training must not hear, not even by a chance of rewording."""
        self.asked: dict[str, set[int]] = defaultdict(set)
        """Phrasing -> training talkers who say it in training."""

    def run(self) -> Plan:
        self._answers()
        for intent in self.intents:
            self._train_intent(intent)
        self._train_defaults()
        for chain in self._chains():
            for telling in range(self.size.tellings):
                self._chain(chain, telling, "train", "train")
        share = self.size.out_of_domain
        self._out_of_domain("train", round(len(self.pairs) * share / (1 - share)), "train")
        held_out: tuple[tuple[Split, int], ...] = (("validation", self.size.validation), ("test", self.size.test))
        for split, count in held_out:
            self._held_out(split, count)
        return self._ordered()

    # -- answers -----------------------------------------------------------------------------------------

    def _answers(self) -> None:
        for intent in self.intents:
            for number, answer in enumerate(intent.answers):
                self.book.add(f"{intent.id}/{number}", answer, self.size.renderings)
            for kind, extra in (("why", intent.why), ("more", intent.more)):
                if extra is not None:
                    self.book.add(f"{intent.id}/{kind}", extra, max(2, self.size.renderings // 2))
        for chain in self._chains():
            for number, turn in enumerate(chain.turns):
                answer = Answer(text=turn.answer, emotion=turn.emotion)
                self.book.add(f"{chain.id}/{number}", answer, max(2, self.size.renderings // 2))
        for followup in self.corpus.followups.values():
            for number, answer in enumerate(followup.default):
                self.book.add(f"follow.{followup.kind}/{number}", answer, self.size.renderings)
        for number, answer in enumerate(self.corpus.fallbacks):
            self.book.add(f"fallback/{number}", answer, 36 if self.size.intents is None else 1)
        self.clips.update(self.book.clips)

    # -- training ----------------------------------------------------------------------------------------

    def _train_intent(self, intent: Intent) -> None:
        ids = self.book.ids(intent)
        pairs: list[PairSpec] = []
        for phrasing in intent.ask.train:
            rng = self._rng("train", intent.id, phrasing)
            answering = self._rng("train", intent.id, phrasing, "answers")
            talkers = rng.choice(self.size.talkers, min(self.size.asked_by, self.size.talkers), replace=False)
            for number, talker in enumerate(int(t) for t in talkers):
                self.asked[phrasing].add(talker)
                text = phrasing
                if number and rng.random() < self.size.reworded:  # the phrasing itself is always among them
                    text = self._reworded(phrasing, rng)
                clip = self._ask(text, "train", talker, rng)
                answers = self._acceptable(ids, answering)
                pairs.append(self._pair(clip, answers, intent.id, "intent", "train", "train", rng=answering))
        # After the first phrasings alone: which pair a follow-up comes after must not change as the list grows.
        first = pairs[: MIN_TRAIN * len(pairs) // len(intent.ask.train)]
        self._follow(intent, first, "train", "train", self.size.followups)

    def _follow(
        self,
        intent: Intent,
        before: Sequence[PairSpec],
        split: Split,
        group: Group,
        times: int,
    ) -> None:
        """Follow-ups after pairs of an intent, by the same talker; `times` of each kind."""
        for kind, followup in self.corpus.followups.items():
            for time in range(times):
                key = ("follow", intent.id, kind, split, time)
                rng = self._rng(*key)
                earlier = self._one(before, rng)
                talker = self.clips[earlier.question].talker
                answers = self._following(intent, kind, earlier)
                if not answers:
                    continue
                phrasing = self._ranked(followup.ask.of(split), *key)[0]
                clip = self._ask(phrasing, split, talker - _FIRST_TALKER[split], self._rng(*key, phrasing))
                self._pair(clip, answers, f"follow.{kind}", "followup", split, group, rng=rng, context=(earlier,))

    def _following(self, intent: Intent, kind: FollowKind, earlier: PairSpec) -> tuple[str, ...]:
        """Ids of the answers that fit after `earlier`: the same again, why, more, or the intent's other answer."""
        said = earlier.answers[0]
        if kind == "again":
            return (said,)
        if kind == "other":
            return tuple(i for i in self.book.ids(intent) if i != said)
        name = f"{intent.id}/{kind}"
        return (self.book.known(name),) if (intent.why if kind == "why" else intent.more) else ()

    def _train_defaults(self) -> None:
        """Follow-ups when nothing was said before."""
        for kind, followup in self.corpus.followups.items():
            ids = tuple(self.book.known(f"follow.{kind}/{n}") for n in range(len(followup.default)))
            for phrasing in followup.ask.train[: None if self.size.intents is None else 1]:
                rng = self._rng("defaults", kind, phrasing)
                answering = self._rng("defaults", kind, phrasing, "answers")
                for _ in range(self.size.asked_by):
                    clip = self._ask(phrasing, "train", int(rng.integers(self.size.talkers)), rng)
                    answers = self._acceptable(ids, answering)
                    self._pair(clip, answers, f"follow.{kind}", "followup", "train", "train", rng=answering)

    def _chains(self) -> Sequence[Chain]:
        return self.corpus.chains[: self.size.chains]

    def _right_too(self, intent: Intent) -> tuple[str, ...]:
        """Answers of others that suit the intent: right for a held-out question, while training keeps its own."""
        others = [other for other in self.intents if other.id in intent.also]
        first = ((chain.id, chain.turns[0]) for chain in self._chains())
        openings = [name for name, turn in first if turn.suits_intent and turn.intent == intent.id]
        found = [i for other in others for i in self.book.ids(other)] + [self.book.known(f"{n}/0") for n in openings]
        return tuple(i for i in dict.fromkeys(found) if i not in self.book.ids(intent))

    def _chain(self, chain: Chain, telling: int, split: Split, group: Group) -> None:
        """The whole conversation by one talker with one voice; tellings take turns with the phrasings of each turn."""
        rng = self._rng("chain", chain.id, telling)
        talker = int(rng.integers(self._talkers(split)))
        voice = self.book.voices[int(rng.integers(len(self.book.voices)))]
        before: list[PairSpec] = []
        for number, turn in enumerate(chain.turns):
            phrasings = self._ranked(turn.ask.of(split), "turn", chain.id, number)
            text = phrasings[telling % len(phrasings)]
            words = self._rng("turn", chain.id, number, telling, text)
            if split == "train" and telling >= len(phrasings) and words.random() < self.size.reworded:
                text = self._reworded(text, words)
            clip = self._ask(text, split, talker, words)
            intent = turn.intent or (f"follow.{turn.follow}" if turn.follow else "chain")
            answers: tuple[str, ...] = (self.book.known(f"{chain.id}/{number}"),)
            if not number and (asked := self.corpus.intents.get(turn.intent or "")) in self.intents and asked:
                answers += self.book.ids(asked)  # nothing was said before: it is that intent like any other time
            before.append(
                self._pair(clip, answers, intent, "chain", split, group, rng=rng, context=tuple(before), voice=voice)
            )

    # -- outside the corpus ------------------------------------------------------------------------------

    def _out_of_domain(self, split: Split, count: int, group: Group) -> None:
        rng = self._rng("out of domain", split)
        ids = tuple(self.book.known(f"fallback/{n}") for n in range(len(self.corpus.fallbacks)))
        sentences = [s for s in self.sources.sentences if split_by_hash(s) == split]
        human = [r for r in self.sources.human if r.split == split]
        noises = [r for r in self.sources.noises if r.split == split]
        people = iter(self._shuffled(human, rng) * (1 if split != "train" else 4))  # heard anew under other noise
        for _ in range(count):
            dice = rng.random()
            recording = next(people, None) if dice < _HUMAN or not sentences else None
            if recording is not None:
                clip = self._record(recording, rng)
            elif noises and dice > 1 - _NOISE:
                clip = self._noise(self._one(noises, rng), rng)
            elif sentences:
                clip = self._ask(self._one(sentences, rng), split, int(rng.integers(self._talkers(split))), rng)
            else:
                continue  # nothing was given to take questions from
            answers = self._acceptable(ids, rng)
            self._pair(clip, answers, "fallback", "out_of_domain", split, group, rng=rng, phrasing_split=split)

    def _record(self, recording: Recording, rng: np.random.Generator) -> ClipSpec:
        seed = int(rng.integers(1 << 30))
        clip = ClipSpec("human", "", recording.speaker, recording.split, seed=seed, source=recording.sha256)
        return self._keep(replace(clip, **self._around(rng)))  # type: ignore[arg-type]

    def _noise(self, recording: Recording, rng: np.random.Generator) -> ClipSpec:
        return self._keep(
            ClipSpec("noise", "", "", recording.split, seed=int(rng.integers(1 << 30)), source=recording.sha256)
        )

    # -- validation and test -----------------------------------------------------------------------------

    def _held_out(self, split: Split, count: int) -> None:
        grounds: tuple[tuple[Group, bool, bool], ...] = (
            ("seen", False, False), ("phrasings", True, False), ("voices", False, True), ("both", True, True),
        )  # fmt: skip
        for group, new_words, new_voice in grounds:
            choices = {
                text: intent for intent in self.intents for text in intent.ask.of(split if new_words else "train")
            }
            for phrasing in self._ranked(list(choices), split, group)[:count]:
                intent, rng = choices[phrasing], self._rng(split, group, phrasing)
                whose: Split = split if new_voice else "train"
                talker = int(rng.integers(self._talkers(whose)))
                while (
                    group == "seen" and talker in self.asked[phrasing] and len(self.asked[phrasing]) < self.size.talkers
                ):
                    talker = int(rng.integers(self._talkers(whose)))
                clip = self._ask(phrasing, whose, talker, rng)
                answers = (*self._acceptable(self.book.ids(intent), rng), *self._right_too(intent))
                self._pair(clip, answers, intent.id, "intent", split, group, rng=rng,
                           phrasing_split=split if new_words else "train")  # fmt: skip
                if new_words and new_voice and rng.random() < 0.35:
                    self._follow(intent, self.pairs[-1:], split, "followups", 1)
        chains = self._chains()
        tellings = -(-count // max(1, sum(len(chain.turns) for chain in chains)))
        for chain in chains:
            for telling in range(tellings):
                self._chain(chain, telling, split, "chains")
        self._out_of_domain(split, count, "out_of_domain")

    # -- helpers -----------------------------------------------------------------------------------------

    def _talkers(self, split: Split) -> int:
        return self.size.talkers if split == "train" else max(2, self.size.talkers // 4)

    def _rng(self, *parts: object) -> np.random.Generator:
        told = hashlib.sha256(repr((self.seed, *parts)).encode()).digest()
        return np.random.default_rng(int.from_bytes(told[:8], "little"))

    def _ranked(self, texts: Sequence[str], *key: object) -> list[str]:
        """Texts in a random order in which a new text changes no place of the others among themselves."""
        return sorted(texts, key=lambda text: self._rng(*key, text).random())

    @staticmethod
    def _one(items: Sequence[_Item], rng: np.random.Generator) -> _Item:
        return items[int(rng.integers(len(items)))]

    @staticmethod
    def _shuffled(items: Sequence[_Item], rng: np.random.Generator) -> list[_Item]:
        return [items[int(i)] for i in rng.permutation(len(items))]

    def _acceptable(self, ids: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
        """The ids with the one to render first: the one used least so far."""
        least = min(self.book.used[i] for i in ids)
        chosen = self._one([i for i in ids if self.book.used[i] == least], rng)
        return (chosen, *(i for i in ids if i != chosen))

    def _around(self, rng: np.random.Generator) -> dict[str, object]:
        """Silence and surroundings of a question."""
        clean = rng.random() < _CLEAN
        return {
            "lead": round(float(rng.uniform(0.2, 0.45)), 3),
            "tail": round(float(rng.uniform(0.4, 0.8)), 3),
            "variation": None if clean else int(rng.integers(1 << 30)),
            "surroundings": "" if clean else self.sources.surroundings,
        }

    def _ask(self, text: str, split: Split, talker: int, rng: np.random.Generator) -> ClipSpec:
        number = _FIRST_TALKER[split] + talker
        clip = ClipSpec("talker", text, f"talker-{number}", split, seed=int(rng.integers(1 << 30)), talker=number)
        return self._keep(replace(clip, **self._around(rng)))  # type: ignore[arg-type]

    def _reworded(self, text: str, rng: np.random.Generator) -> str:
        other = reword(text, self.synonyms, rng)
        return text if sound_key(other) in self.kept else other

    def _keep(self, clip: ClipSpec) -> ClipSpec:
        self.clips[clip.id] = clip
        return clip

    def _pair(
        self,
        question: ClipSpec,
        answers: tuple[str, ...],
        intent: str,
        kind: PairKind,
        split: Split,
        group: Group,
        *,
        rng: np.random.Generator,
        context: tuple[PairSpec, ...] = (),
        phrasing_split: Split | None = None,
        voice: str | None = None,
    ) -> PairSpec:
        answer = self.book.rendering(answers[0], rng, voice)
        told = repr((question.id, answer, split, group, [c.id for c in context]))
        pair = PairSpec(
            id=hashlib.sha256(told.encode()).hexdigest()[:16],
            question=question.id,
            answer=answer,
            answers=answers,
            intent=intent,
            kind=kind,
            split=split,
            group=group,
            phrasing_split=phrasing_split or split,
            talker_split=question.split,
            context=tuple(c.id for c in context),
        )
        self.pairs.append(pair)
        return pair

    def _ordered(self) -> Plan:
        """Pairs in random order (long answers last), their contexts before them; clips as the pairs need them."""
        rng = self._rng("order")
        by_id = {pair.id: pair for pair in self.pairs}
        shuffled = self._shuffled(self.pairs, rng)
        late = [self.book.seconds(pair.answer) > LONG_ANSWER for pair in shuffled]
        first = [p for p, slow in zip(shuffled, late, strict=True) if not slow]
        ordered: dict[str, PairSpec] = {}
        clips: dict[str, ClipSpec] = {}
        for pair in [*first, *(p for p, slow in zip(shuffled, late, strict=True) if slow)]:
            for needed in (*(by_id[i] for i in pair.context), pair):
                ordered.setdefault(needed.id, needed)
                for clip in (needed.question, needed.answer):
                    clips.setdefault(clip, self.clips[clip])
        rest = [clip for clip in self.clips.values() if clip.id not in clips]  # renderings that no pair names
        clips.update({clip.id: clip for clip in self._shuffled(rest, rng)})
        return Plan(self.size.name, self.seed, clips, tuple(ordered.values()), self.book.answers, self.book.clip_answer)


def heard_in_training(plan: Plan) -> set[str]:
    """What the questions of training sound like (`sound_key`), to check that held-out phrasings are not among them."""
    return {sound_key(plan.clips[pair.question].text) for pair in plan.pairs if pair.split == "train"}
