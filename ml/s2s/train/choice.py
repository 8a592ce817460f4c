"""Fits the choice of answers (`ml.s2s.acts`) on what a trained encoder hears: `python -m ml train choice`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ml.s2s.acts import ActReader, collapsed
from ml.s2s.model import S2SModel
from ml.s2s.phone_lm import Readings, sure
from ml.s2s.train.acts import NONE, ActNames, acts_of, phrasings
from ml.s2s.train.confusions import Confusions
from ml.s2s.train.data import Dialogues, padded
from ml.s2s.train.gram_batches import GramTable
from ml.s2s.train.weighing import fitted_weights, panel_of_pairs, panel_of_texts, question_phones

if TYPE_CHECKING:
    from ml.data.corpus.loader import Corpus
    from ml.data.pairs import Pair

Progress = Any
_TIMES = 4
Example = tuple[list[int], int]
"""Phones of a question, and its act."""


@dataclass(frozen=True, slots=True)
class ChoiceConfig:
    """How the choice is fitted."""

    heard: int = 8_000
    """Training questions that the encoder hears: they teach how it mishears, and are examples themselves."""
    others: int = 3_000
    """Of those that are none of the corpus's (people in other languages, noise), so many more are heard."""
    misheard: float = 2.4
    """Errors put into phrasings that nobody spoke, in multiples of those that are made in words not learned."""
    variants: int = 8
    """Ways in which each written phrasing is misheard and reworded in one pass; follow-ups four times as many."""
    strangers: float = 0.2
    """Share of examples that are none of the corpus's acts, where sentences are given."""
    epochs: int = 10
    """Passes; 0 leaves the n-grams as they are: the phrasings of today are known, and the parts weighed anew."""
    fits: int = 1
    """Fits from one beginning, each with its own draws, whose vectors are averaged (model soup, Wortsman et al. 2022):
    what each has learned by chance goes, and the reader costs what one does."""
    batch: int = 256
    """Examples per step."""
    learning_rate: float = 2e-2
    """Peak rate of the n-gram vectors; a fifth of it for the rest. Both fall linearly."""
    dropout: float = 0.3
    """Share of n-grams hidden."""
    smoothing: float = 0.02
    """Label smoothing."""
    seed: int = 0
    """Of everything random."""


@torch.inference_mode()
def heard_phones(
    model: S2SModel, dialogues: Dialogues, questions: Sequence[int], frames: int = 4_000
) -> dict[int, Readings]:
    """What the model makes of questions (by index): readings of its second reading, or the encoder's best path."""
    clips = dialogues.set.questions
    order = sorted(questions, key=lambda i: clips[i].speech[1] - clips[i].speech[0])
    found: dict[int, Readings] = {}
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
            vectors, logits = model.encoder(model.books, batch, lengths)
            there = torch.arange(vectors.shape[1]) < lengths[:, None]
            again = model.heard_again(vectors, there)
        paths = logits.argmax(-1).tolist()
        first = [sure(collapsed(path[: 2 * n], blank)) for path, n in zip(paths, lengths.tolist(), strict=True)]
        found.update(zip(part, again or first, strict=True))
    return found


class Examples:
    """What the reader of acts learns from: phrasings as the encoder would mishear them, questions as it heard them."""

    def __init__(
        self,
        corpus: Corpus,
        names: ActNames,
        written: Sequence[tuple[str, int]],
        spoken: Sequence[Example],
        sentences: Sequence[str],
        confusions: Confusions,
        config: ChoiceConfig,
    ) -> None:
        from ml.data.corpus.schema import sound_key
        from ml.data.corpus.topic_words import load_topic_words
        from ml.data.pairs.rewording import load_synonyms

        self.written, self.spoken, self.sentences = list(written), list(spoken), list(sentences)
        self.confusions, self.config = confusions, config
        self.none = names.of[NONE]
        self.followups = {act for name, act in names.of.items() if name.startswith("follow.")}
        self.synonyms = load_synonyms()
        of = {name: names.of[name] for name in corpus.intents if name in names.of}
        self.pieces = {of[name]: pieces for name, pieces in load_topic_words(of).items()}
        """Act -> words of its topic."""
        # People name what the answers name; a few words of an answer are as good as a piece.
        answers = [(of[i.id], (*i.answers, i.why, i.more)) for i in corpus.intents.values() if i.id in of]
        self.answers = [(answer.text, act) for act, listed in answers for answer in listed if answer is not None]
        self.asked: dict[int, list[str]] = defaultdict(list)
        for text, act in self.written:
            self.asked[act].append(text)
        self.kept = {sound_key(text) for text in (*corpus.held_out("validation"), *corpus.held_out("test"))}
        self._phones: dict[str, list[int]] = {}

    def phones(self, text: str) -> list[int]:
        """Phones of a text as a question has them: without pauses."""
        if text not in self._phones:
            self._phones[text] = question_phones(text)
        return self._phones[text]

    def draw(self, rng: np.random.Generator) -> list[Example]:
        """The examples of one pass."""
        found = list(self.spoken)
        for text, act in self.written:
            for _ in range(self.config.variants * (4 if act in self.followups else 1)):
                found.append((self._misheard(self._reworded(text, rng), rng), act))
        for act, pieces in self.pieces.items():
            found += [(self._misheard(self._said(pieces, number, act, rng), rng), act) for number in range(len(pieces))]
        for text, act in self.answers:
            found += [(self._misheard(self._piece(text, rng), rng), act) for _ in range(2)]
        if self.sentences:
            wanted = round(len(found) * self.config.strangers / (1 - self.config.strangers))
            for i in rng.integers(len(self.sentences), size=wanted).tolist():
                found.append((self._misheard(self._piece(self.sentences[i], rng), rng), self.none))
        return found

    def _misheard(self, text: str, rng: np.random.Generator) -> list[int]:
        return self.confusions.mishear(self.phones(text), self.config.misheard * 2.0 * rng.random(), rng)

    def _reworded(self, text: str, rng: np.random.Generator) -> str:
        from ml.data.corpus.schema import sound_key
        from ml.data.pairs.rewording import reword

        if rng.random() < 0.5:
            return text
        other = reword(text, self.synonyms, rng)
        return text if sound_key(other) in self.kept else other

    def _said(self, pieces: Sequence[str], number: int, act: int, rng: np.random.Generator) -> str:
        """A piece alone, beside another, or within a phrasing of its act in place of up to two words."""
        piece, how = pieces[number], rng.random()
        if how < 0.3 or not self.asked[act]:
            return piece
        if how < 0.5:
            return f"{piece} {pieces[int(rng.integers(len(pieces)))]}"
        around = self.asked[act][int(rng.integers(len(self.asked[act])))].split()
        at = int(rng.integers(len(around) + 1))
        return " ".join([*around[:at], piece, *around[at + int(rng.integers(3)) :]])

    @staticmethod
    def _piece(text: str, rng: np.random.Generator) -> str:
        """A sentence, or a few words of it: what is not understood is often short."""
        words = text.split()
        if len(words) < 3 or rng.random() < 0.4:
            return text
        count = int(rng.integers(1, min(8, len(words)) + 1))
        first = int(rng.integers(0, len(words) - count + 1))
        return " ".join(words[first : first + count])


def fit_choice(
    model: S2SModel,
    dialogues: Dialogues,
    corpus: Corpus,
    sentences: Sequence[str],
    config: ChoiceConfig,
    progress: Progress,
    strangers: Sequence[str] = (),
) -> dict[str, float]:
    """Fit `model.phrases` in place; returns the share of right choices per group of the validation and test pairs.

    `sentences` that are none of the corpus's questions are learned, others of that kind (`strangers`) weigh the choice.
    """
    reader = model.phrases
    if reader is None:
        raise ValueError("the model reads no acts; set n_acts and phrase_buckets")
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    acts = acts_of(corpus, {dialogues.set.texts[answer].text: plan for answer, plan in dialogues.plan_of.items()})
    names = ActNames(acts)
    reader.learn(acts)
    train = [p for p in dialogues.set.pairs if p.split == "train"]
    others = [p for p in dialogues.set.pairs if p.split != "train"]
    written = list(phrasings(corpus, acts, "train"))
    reader.remember_phrasings([(question_phones(text), act) for text, act in written])  # the second reading needs them
    asked = [train[i].question for i in rng.permutation(len(train))[: config.heard if config.epochs else 0]]
    none = [p.question for p in train if p.kind == "out_of_domain"]
    asked += [none[i] for i in rng.permutation(len(none))[: config.others if config.epochs else 0]]
    heard = heard_phones(model.eval(), dialogues, sorted({*asked, *(p.question for p in others)}))
    clips = dialogues.set.questions
    # What was said in known words is heard better than what will be said: errors are counted on other words.
    fresh = {p.question for p in others if p.split == "validation" and p.phrasing_split != "train"} or set(asked)
    confusions = Confusions(
        model.config.n_phones, ((clips[i].phones, heard[i][0][0]) for i in sorted(fresh) if clips[i].phones)
    )
    if config.epochs:
        spoken = {(p.question, names.of_pair(p, dialogues.plan_of)) for p in train if p.question in heard}
        examples = Examples(
            corpus,
            names,
            written,
            # What people of other languages say no text tells; it counts as often as written phrasings do.
            [
                (list(heard[question][0][0]), act)
                for question, act in sorted(spoken)
                if act >= 0
                for _ in range(_TIMES if act == names.of[NONE] else 1)
            ],
            sentences,
            confusions,
            config,
        )
        _fit_averaged(reader, examples, progress)
    with torch.inference_mode():
        panels = [panel_of_texts(reader, corpus, acts, strangers, confusions, config.seed)]
        if validation := [p for p in others if p.split == "validation"]:
            panels.append(panel_of_pairs(reader, dialogues, validation, heard))
    reader.weigh(fitted_weights(reader, panels))
    groups = {
        f"{split}_{group}": value
        for split in ("validation", "test")
        for group, value in chosen_right(reader, dialogues, [p for p in others if p.split == split], heard).items()
    }
    return {**groups, "encoder_phone_error": round(confusions.error, 4)}


def _fit_averaged(reader: ActReader, examples: Examples, progress: Progress) -> None:
    """As many fits as the configuration asks for, all from where `reader` is; it becomes their mean."""
    config = examples.config
    beginning = {name: value.clone() for name, value in reader.state_dict().items()}
    rarity, grams = torch.zeros_like(reader.rarity), torch.zeros_like(reader.grams.weight)
    weight, bias = torch.zeros_like(reader.choose.weight), torch.zeros_like(reader.choose.bias)
    for number in range(config.fits):
        torch.manual_seed(config.seed + number)
        reader.load_state_dict(beginning)
        _fit(reader, examples, np.random.default_rng((config.seed, number)), progress)
        with torch.no_grad():  # an n-gram counts by its vector times its rarity, and so do means
            rarity += reader.rarity / config.fits
            grams += reader.grams.weight * reader.rarity[:, None] / config.fits
            weight += reader.choose.weight / config.fits
            bias += reader.choose.bias / config.fits
    with torch.no_grad():
        reader.rarity.copy_(rarity)
        reader.grams.weight.copy_(grams / rarity.clamp_min(1e-3)[:, None])
        reader.choose.weight.copy_(weight)
        reader.choose.bias.copy_(bias)


def _fit(reader: ActReader, examples: Examples, rng: np.random.Generator, progress: Progress) -> None:
    config = examples.config
    drawn = examples.draw(rng)
    table = GramTable([phones for phones, _ in drawn], reader.buckets)
    reader.rarity.copy_(torch.from_numpy(np.log(len(drawn) / (1.0 + table.occurrences())).clip(0.0)))
    # A batch holds every other bucket: dense gradients take a third of the time that sparse ones did.
    peaks = {"grams": config.learning_rate, "rest": config.learning_rate / 5}
    rest = [p for n, p in reader.named_parameters() if not n.startswith("grams")]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(reader.grams.parameters()), "weight_decay": 0.0, "name": "grams"},
            {"params": rest, "weight_decay": 0.05, "name": "rest"},
        ],
        fused=True,
    )
    steps, done = config.epochs * -(-len(drawn) // config.batch), 0
    reader.requires_grad_(True).train()
    for epoch in progress(range(config.epochs), "choice"):
        if epoch:
            drawn = examples.draw(rng)
            table = GramTable([phones for phones, _ in drawn], reader.buckets)
        acts = torch.tensor([act for _, act in drawn])
        order = rng.permutation(len(drawn))
        for start in range(0, len(order), config.batch):
            part = order[start : start + config.batch]
            for group in optimizer.param_groups:
                group["lr"] = peaks[group["name"]] * max(0.02, 1.0 - done / steps)
            done += 1
            logits = reader.logits_of(*table.rows(part), config.dropout)
            loss = functional.cross_entropy(logits, acts[torch.from_numpy(part)], label_smoothing=config.smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    reader.requires_grad_(False).eval()


@torch.inference_mode()
def chosen_right(
    reader: ActReader, dialogues: Dialogues, pairs: Iterable[Pair], heard: dict[int, Readings]
) -> dict[str, float]:
    """Share of `pairs` whose likeliest plan is acceptable, by group."""
    listed = list(pairs)
    return panel_of_pairs(reader, dialogues, listed, heard).share_right(reader) if listed else {}
