"""Batches for the S2S model from a `PairSet`: drawn by (seed, step), with the targets that the losses need."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.s2s.alignment import align_frames, score_of
from ml.s2s.batch import UNKNOWN, Conditions, Past, S2SBatch
from ml.s2s.config import S2SConfig
from ml.s2s.train.config import S2STrainConfig
from ml.s2s.train.disguise import draw_disguise
from ml.train.buckets import Buckets

if TYPE_CHECKING:
    from ml.data.pairs import Clip, Pair, PairSet

IGNORE = -100
PATTERN = 20
"""Batches in which the shares of the kinds of batches come true."""


@dataclass
class Targets:
    """What a batch's logits are compared with; -100 and empty rows are left out."""

    phones: Tensor
    """int64 [sum], phones of the questions end to end, for CTC."""
    phone_counts: Tensor
    """int64 [B], phones of each question; 0 where they are not known."""
    intent: Tensor
    """int64 [B]."""
    plans: Tensor
    """float [B, n_plans], equal shares of the acceptable answers; a row of zeros is left out."""
    frame_phones: Tensor
    """int64 [B, Ta + 1], phone of the answer frame that each position predicts."""

    def to(self, device: torch.device | str) -> Targets:
        """The same on `device`."""
        return Targets(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Row:
    """One row of a batch before padding."""

    question: NDArray[np.uint16] | None
    answer: Clip
    phones: Sequence[int] = ()
    intent: int = IGNORE
    plan: int = UNKNOWN
    plans: tuple[int, ...] = ()
    known_voice: bool = True
    past: tuple[tuple[NDArray[np.uint16], NDArray[np.uint16]], ...] = ()
    """(question codes, answer codes), the newest last."""
    silent: bool = False
    """Nothing is answered: the row trains the understanding alone."""


def model_config(pairs: PairSet, preset: str) -> S2SConfig:
    """The preset with as many phones, intents and plans as `pairs` has."""
    from ml.data.synthesis.phones import PHONES

    longest = max(len(score_of(text.text)) for text in pairs.texts.values())
    return S2SConfig.named(
        preset,
        n_phones=len(PHONES),
        n_intents=len(pairs.intents),
        n_plans=len(answer_ids(pairs)),
        score_length=-(-longest // 8) * 8,
    )


def answer_ids(pairs: PairSet) -> list[str]:
    """Every planned answer, sorted: the index of an answer is its plan."""
    return sorted(pairs.texts)


class Dialogues:
    """A `PairSet` as the trainer draws from it."""

    def __init__(self, pairs: PairSet, model: S2SConfig, plans: Sequence[str] | None = None) -> None:
        """`plans`: answer ids in the model's order, as its card has them; by default those of `pairs`."""
        self.set = pairs
        self.model = model
        self.plan_of = {answer: index for index, answer in enumerate(plans or answer_ids(pairs))}
        self.intent_of = {name: index for index, name in enumerate(pairs.intents)}
        self.speaker_of = {name: index for index, name in enumerate(model.speakers)}
        self.emotion_of = {name: index for index, name in enumerate(model.emotions)}
        self.scores = [score_of(pairs.texts[answer].text) for answer in self.plan_of]
        self._places: dict[str, NDArray[np.int64]] = {}

    # -- clips -------------------------------------------------------------------------------------------

    def cut_question(
        self, index: int, rng: np.random.Generator, config: S2STrainConfig
    ) -> tuple[NDArray[np.uint16], Sequence[int]]:
        """Codes of a question between random ends in the silence around it, and its phones (none if unknown)."""
        clip = self.set.questions[index]
        start, end = clip.speech
        low, high = config.end_silence
        first = max(0, start - int(rng.integers(0, config.lead_silence + 1)))
        last = min(clip.codes.shape[1], end + int(rng.integers(low, high + 1)))
        return clip.codes[:, first:last], clip.phones

    def rendering(self, answer: str, rng: np.random.Generator, speaker: str = "") -> Clip:
        """One rendering of an answer, by `speaker` if there is one."""
        indices = self.set.renderings(answer)
        if speaker:
            indices = [i for i in indices if self.set.answers[i].speaker == speaker] or indices
        return self.set.answers[indices[int(rng.integers(len(indices)))]]

    def conditions(self, clips: Sequence[Clip], known: Sequence[bool]) -> Conditions:
        """How `clips` sound; unknown where `known` is False."""
        rows = Conditions.unknown(len(clips), self.model.n_speakers)
        for row, (clip, told) in enumerate(zip(clips, known, strict=True)):
            if not told or clip.speaker not in self.speaker_of:
                continue
            rows.speaker[row, self.speaker_of[clip.speaker]] = 1.0
            rows.emotion[row] = self.emotion_of.get(clip.emotion, UNKNOWN)
            pitch, energy, rate, accent, intensity = clip.controls
            rows.intensity[row], rows.pitch[row], rows.energy[row] = intensity, pitch, energy
            rows.rate[row], rows.accent[row] = rate, accent
        return rows

    def row_of(self, pair: Pair, rng: np.random.Generator, config: S2STrainConfig, distract: Sequence[Pair]) -> Row:
        """A pair with a random rendering of a random acceptable answer, and what was said before."""
        question, phones = self.cut_question(pair.question, rng, config)
        there = [a for a in pair.answers if self.set.renderings(a)]  # a set that is still being made lacks some
        answer = self.rendering(there[int(rng.integers(len(there)))], rng)
        turns = [(index, said) for index, said in pair.context if self.set.renderings(said)]
        if not turns and distract and pair.kind != "followup" and rng.random() < config.distracted:
            picked = [distract[int(rng.integers(len(distract)))] for _ in range(int(rng.integers(1, 3)))]
            turns = [(other.question, self.set.answers[other.answer].answer_id) for other in picked]
        past = tuple(
            (self.cut_question(index, rng, config)[0], self.rendering(said, rng, answer.speaker).codes)
            for index, said in turns[max(0, len(turns) - min(self.model.memory_turns, config.past_turns)) :]
        )
        plans = tuple(self.plan_of[a] for a in pair.answers if a in self.plan_of)
        intent = self.intent_of.get(pair.intent, IGNORE)
        return Row(question, answer, phones, intent, self.plan_of.get(answer.answer_id, UNKNOWN), plans, past=past)

    def places(self, clip: Clip) -> NDArray[np.int64] | None:
        """Where in its answer's score each frame of an answer is, int64 [F]; None where that is not known."""
        plan = self.plan_of.get(clip.answer_id)
        if plan is None or len(clip.frame_phones) != clip.codes.shape[1]:
            return None
        if clip.id not in self._places:
            self._places[clip.id] = align_frames(self.scores[plan], clip.frame_phones)
        return self._places[clip.id]

    # -- batches -----------------------------------------------------------------------------------------

    def collate(
        self, rows: Sequence[Row], rng: np.random.Generator, config: S2STrainConfig, training: bool = True
    ) -> tuple[S2SBatch, Targets]:
        """Pad rows into a batch; with `training` also everything that is hidden, masked and dropped by chance."""
        count, levels = len(rows), self.model.levels
        answers = [None if row.silent else row.answer.codes for row in rows]
        answer, answer_frames = padded(answers, levels)
        question, question_frames = padded([row.question for row in rows], levels)
        width, answered = question.shape[2], answer.shape[2]
        phones = [list(row.phones) if row.question is not None else [] for row in rows]
        # CTC needs a step per phone and one between equal neighbours; two steps per frame are there
        room = [2 * int(n) for n in question_frames]
        phones = [p if len(p) + sum(a == b for a, b in itertools.pairwise(p)) <= r else []
                  for p, r in zip(phones, room, strict=True)]  # fmt: skip
        plans = torch.zeros(count, max(1, self.model.n_plans))
        frame_phones = torch.full((count, answered + 1), IGNORE)
        answer_at = torch.full((count, answered), UNKNOWN)
        for at, row in enumerate(rows):
            if row.plan != UNKNOWN and (places := self.places(row.answer)) is not None:
                answer_at[at, : len(places)] = torch.from_numpy(places)
            if row.plans:
                plans[at, list(row.plans)] = 1.0 / len(row.plans)
            if len(row.answer.frame_phones) and not row.silent:
                told = torch.from_numpy(row.answer.frame_phones.astype(np.int64))
                frame_phones[at, : len(told)] = told[: answered + 1]
        batch = S2SBatch(
            question=question,
            question_frames=question_frames,
            answer=answer,
            answer_frames=answer_frames,
            conditions=self.conditions([row.answer for row in rows], [row.known_voice for row in rows]),
            plan=torch.tensor([row.plan for row in rows]),
            answer_at=answer_at,
            past=self._past(rows),
        )
        valid = np.flatnonzero((torch.arange(answered) < answer_frames[:, None]).flatten().numpy())
        if training:
            kept = max(1, round(config.depth_share * len(valid)))
            batch.depth_frames = torch.from_numpy(np.sort(rng.permutation(valid)[:kept]))
            self._vary(batch, rng, config, width, answered)
        else:
            batch.depth_frames = torch.from_numpy(valid)
        flat = torch.tensor([label for row in phones for label in row], dtype=torch.int64)
        targets = Targets(
            flat,
            torch.tensor([len(row) for row in phones]),
            torch.tensor([row.intent for row in rows]),
            plans,
            frame_phones,
        )
        return batch, targets

    def _vary(
        self, batch: S2SBatch, rng: np.random.Generator, config: S2STrainConfig, width: int, answered: int
    ) -> None:
        count, levels = batch.rows, self.model.levels
        question = draw_disguise(rng, (count, width), levels, 1, config)
        hidden = rng.uniform(0.0, config.hide_answer, (count, 1))
        batch.question_levels, batch.question_keep, batch.question_noise = question
        batch.answer_keep = torch.from_numpy(rng.random((count, answered)) >= hidden)
        batch.unconditional = torch.from_numpy(rng.random((count, 7)) < config.hide_condition)
        assert batch.plan is not None
        batch.plan[torch.from_numpy(rng.random(count) < config.hide_plan)] = UNKNOWN

    def _past(self, rows: Sequence[Row]) -> Past | None:
        turns = [(at, age, q, a) for at, row in enumerate(rows) for age, (q, a) in enumerate(row.past[::-1], start=1)]
        if not turns:
            return None
        question, question_frames = padded([turn[2] for turn in turns], self.model.levels)
        answer, answer_frames = padded([turn[3] for turn in turns], self.model.levels)
        at = torch.tensor([turn[0] for turn in turns])
        return Past(question, question_frames, answer, answer_frames, at, torch.tensor([turn[1] for turn in turns]))


def padded(codes: Sequence[NDArray[np.uint16] | None], levels: int) -> tuple[Tensor, Tensor]:
    """Codes `[levels, F]` each, None for none, as int64 `[n, levels, max F]` (at least 1) and frames [n]."""
    frames = [0 if c is None else c.shape[1] for c in codes]
    out = torch.zeros(len(codes), levels, max(1, *frames), dtype=torch.int64)
    for row, c in enumerate(codes):
        if c is not None:
            out[row, :, : c.shape[1]] = torch.from_numpy(c.astype(np.int64))
    return out, torch.tensor(frames)


class Sampler:
    """Training batches by step: kinds of batches in fixed shares, each kind in epochs of its own."""

    def __init__(self, dialogues: Dialogues, config: S2STrainConfig) -> None:
        self.dialogues, self.config = dialogues, config
        pairs = dialogues.set
        train = [p for p in pairs.pairs if p.split == "train"]
        apart = [p for p in train if p.kind == "out_of_domain"]
        after = [p for p in train if p.kind in ("chain", "followup")]
        alone = [p for p in train if p.kind == "intent"]
        self.alone = alone
        total = max(1, len(alone))
        self.rows: dict[str, list[Pair | Clip]] = {
            "dialogue": [
                *alone,
                *repeated(after, round(total * config.with_context / max(0.05, 1 - config.with_context))),
                *repeated(apart, round(total * config.out_of_domain)),
            ],
            "style": list(pairs.answers),
            "lm": [*pairs.answers, *(q for q in pairs.questions if q.split == "train")],
        }
        self.rows["ask"] = self.rows["dialogue"]
        shares = {
            "lm": config.share_lm,
            "dialogue": config.share_dialogue,
            "style": config.share_style,
            "ask": config.share_ask,
        }
        shares = {kind: share for kind, share in shares.items() if self.rows[kind]}
        self.pattern = shared_out(shares, PATTERN, config.seed)
        self.buckets = {
            kind: Buckets(
                [self._length(row, kind) for row in self.rows[kind]], config.batch_frames, zlib.crc32(kind.encode())
            )
            for kind in shares
        }

    def _length(self, row: Pair | Clip, kind: str) -> int:
        if hasattr(row, "codes"):
            return int(row.codes.shape[1]) + 1
        start, end = self.dialogues.set.questions[row.question].speech
        answer = 0 if kind == "ask" else int(self.dialogues.set.answers[row.answer].codes.shape[1])
        return end - start + 12 + answer + 1

    def batch(self, step: int) -> tuple[S2SBatch, Targets]:
        """The batch of `step`."""
        cycle, at = divmod(step, len(self.pattern))
        kind = self.pattern[at]
        number = cycle * self.pattern.count(kind) + self.pattern[:at].count(kind)
        rng = np.random.default_rng((self.config.seed, step, 2))
        rows = [self._row(kind, self.rows[kind][i], rng) for i in self.buckets[kind].batch(number)]
        return self.dialogues.collate(rows, rng, self.config)

    def _row(self, kind: str, row: Pair | Clip, rng: np.random.Generator) -> Row:
        if kind == "dialogue":
            return self.dialogues.row_of(row, rng, self.config, self.alone)  # type: ignore[arg-type]
        if kind == "ask":
            full = self.dialogues.row_of(row, rng, self.config, self.alone)  # type: ignore[arg-type]
            return replace(full, silent=True, plan=UNKNOWN)
        clip: Clip = row  # type: ignore[assignment]
        if kind == "style":
            return Row(None, clip, plan=self.dialogues.plan_of[clip.answer_id])
        return Row(None, clip, known_voice=bool(clip.answer_id))


def repeated(items: list[Pair], count: int) -> list[Pair]:
    """`items` over and over until there are `count` of them (none when there are none)."""
    return [items[i % len(items)] for i in range(count)] if items else []


def shared_out(shares: dict[str, float], slots: int, seed: int) -> list[str]:
    """`slots` names in the given shares (largest remainder), in a mixed but fixed order."""
    total = sum(shares.values())
    exact = {name: share / total * slots for name, share in shares.items() if share > 0}
    counts = {name: max(1, int(value)) for name, value in exact.items()}
    for name in sorted(exact, key=lambda n: int(exact[n]) - exact[n]):
        if sum(counts.values()) < slots:
            counts[name] += 1
    names = [name for name, count in counts.items() for _ in range(count)]
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
