"""Fits the choice of answers (`ml.s2s.phrases`) on what a trained encoder hears: `python -m ml train choice`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ml.s2s.model import S2SModel
from ml.s2s.phrases import PhraseReader, collapsed, ngrams
from ml.s2s.train.data import Dialogues, padded

if TYPE_CHECKING:
    from ml.data.pairs import Pair

Progress = Any


@dataclass(frozen=True, slots=True)
class ChoiceConfig:
    """How the choice is fitted."""

    heard: int = 6_000
    """Training questions that the encoder hears; of the others the true phones are used, with random faults."""
    faults: float = 0.2
    """Mean share of phones that are changed, lost or added in true phones."""
    epochs: int = 5
    """Passes over the training pairs."""
    batch: int = 96
    """Pairs per step."""
    learning_rate: float = 1e-2
    """Peak rate of the n-gram vectors; a fifth of it for the rest. Both fall linearly."""
    dropout: float = 0.3
    """Share of n-grams hidden."""
    followups: int = 3
    """Times that follow-ups and chains are seen in one pass: what they mean depends on the turn before."""
    seed: int = 0
    """Of everything random."""


@torch.inference_mode()
def heard_phones(
    model: S2SModel, dialogues: Dialogues, questions: Sequence[int], frames: int = 4_000
) -> dict[int, list[int]]:
    """What the encoder makes of questions (by index): phones of the collapsed CTC best path."""
    clips = dialogues.set.questions
    order = sorted(questions, key=lambda i: clips[i].speech[1] - clips[i].speech[0])
    found: dict[int, list[int]] = {}
    blank = model.config.n_phones
    while order:
        longest = clips[order[-1]].speech[1] - clips[order[-1]].speech[0] + 8
        part = [order.pop() for _ in range(min(len(order), max(1, frames // longest)))]
        codes = []
        for i in part:
            start, end = clips[i].speech
            codes.append(clips[i].codes[:, max(0, start - 3) : end + 5])
        batch, lengths = padded(codes, model.config.levels)
        with torch.autocast(batch.device.type, torch.bfloat16):
            _, logits = model.encoder(model.books, batch, lengths)
        paths = logits.argmax(-1).tolist()
        for i, path, length in zip(part, paths, lengths.tolist(), strict=True):
            found[i] = collapsed(path[: 2 * length], blank)
    return found


def faulty(phones: Sequence[int], share: float, symbols: int, rng: np.random.Generator) -> list[int]:
    """`phones` of which about `share` are lost, changed or followed by another."""
    found: list[int] = []
    for phone, chance in zip(phones, rng.random(len(phones)).tolist(), strict=True):
        if chance < share / 3:
            continue
        found.append(int(rng.integers(1, symbols)) if chance < 2 * share / 3 else phone)
        if chance > 1 - share / 3:
            found.append(int(rng.integers(1, symbols)))
    return found


def fit_choice(model: S2SModel, dialogues: Dialogues, config: ChoiceConfig, progress: Progress) -> dict[str, float]:
    """Fit `model.phrases` in place; returns the share of right choices per group of the validation and test pairs."""
    reader = model.phrases
    if reader is None:
        raise ValueError("the model has no phrase reader; set phrase_buckets")
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    train = [p for p in dialogues.set.pairs if p.split == "train"]
    others = [p for p in dialogues.set.pairs if p.split != "train"]
    asked = [train[i].question for i in rng.permutation(len(train))[: config.heard]]
    heard = heard_phones(model.eval(), dialogues, sorted({*asked, *(p.question for p in others)}))
    questions = dialogues.set.questions
    symbols = model.config.n_phones - 2  # breath and laughter, the last two, are never put in by chance

    def phones_of(pair: Pair) -> list[int]:
        real = heard.get(pair.question)
        true = questions[pair.question].phones
        if real is not None and (not true or rng.random() < 0.8):
            return real
        return faulty(true, config.faults * 2.0 * rng.random(), symbols, rng)

    buckets = reader.buckets
    variants = [[ngrams(phones_of(pair), buckets) for pair in train] for _ in range(2)]
    counts = np.zeros(buckets)
    for grams in variants[0]:
        counts[grams] += 1
    reader.rarity.copy_(torch.from_numpy(np.log(len(train) / (1.0 + counts)).clip(0.0)))
    pool = [i for i, p in enumerate(train) for _ in range(config.followups if p.context else 1)]
    before = [_before(dialogues, pair) for pair in train]
    plans = [[dialogues.plan_of[a] for a in pair.answers if a in dialogues.plan_of] for pair in train]
    rest = [p for n, p in reader.named_parameters() if not n.startswith("grams")]
    sparse = torch.optim.SparseAdam(list(reader.grams.parameters()), lr=config.learning_rate)
    dense = torch.optim.AdamW(rest, lr=config.learning_rate / 5, weight_decay=0.05)
    steps = config.epochs * -(-len(pool) // config.batch)
    done = 0
    reader.requires_grad_(True).train()
    for epoch in progress(range(config.epochs), "choice"):
        order, grams = rng.permutation(pool), variants[epoch % len(variants)]
        for start in range(0, len(order), config.batch):
            part = order[start : start + config.batch]
            share = max(0.02, 1.0 - done / steps)
            sparse.param_groups[0]["lr"] = config.learning_rate * share
            dense.param_groups[0]["lr"] = config.learning_rate / 5 * share
            done += 1
            target = torch.zeros(len(part), reader.n_plans)
            for row, i in enumerate(part):
                target[row, plans[i]] = 1.0 / len(plans[i])
            logits = reader.logits([grams[i] for i in part], [before[i] for i in part], config.dropout)
            loss = functional.cross_entropy(logits, target, label_smoothing=0.02)
            sparse.zero_grad()
            dense.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            sparse.step()  # type: ignore[no-untyped-call]
            dense.step()
    reader.requires_grad_(False).eval()
    reader.remember_phrasings(known_phrasings(dialogues)[: len(reader.known)])
    return {
        f"{split}_{group}": value
        for split in ("validation", "test")
        for group, value in chosen_right(reader, dialogues, [p for p in others if p.split == split], heard).items()
    }


@torch.inference_mode()
def chosen_right(
    reader: PhraseReader, dialogues: Dialogues, pairs: Iterable[Pair], heard: dict[int, list[int]]
) -> dict[str, float]:
    """Share of `pairs` whose likeliest plan is acceptable, by group."""
    right: dict[str, list[bool]] = defaultdict(list)
    for pair in pairs:
        said, before = heard[pair.question], [_before(dialogues, pair)]
        logits = reader.compared(reader.logits([ngrams(said, reader.buckets)], before), [said], before)
        acceptable = {dialogues.plan_of.get(answer) for answer in pair.answers}
        right[pair.group].append(int(logits.argmax()) in acceptable)
    return {group: round(float(np.mean(values)), 4) for group, values in sorted(right.items())}


def known_phrasings(dialogues: Dialogues) -> list[tuple[tuple[int, ...], list[int]]]:
    """(phones, plans) of every distinct training question that opens a conversation, the most frequent first."""
    found: dict[tuple[int, ...], set[int]] = defaultdict(set)
    counts: Counter[tuple[int, ...]] = Counter()
    for pair in dialogues.set.pairs:
        phones = dialogues.set.questions[pair.question].phones
        if pair.split == "train" and pair.kind == "intent" and phones:
            counts[phones] += 1
            found[phones].update(dialogues.plan_of[a] for a in pair.answers if a in dialogues.plan_of)
    return [(phones, sorted(found[phones])) for phones, _ in counts.most_common()]


def _before(dialogues: Dialogues, pair: Pair) -> list[int]:
    return [dialogues.plan_of.get(answer, -1) for _, answer in pair.context]
