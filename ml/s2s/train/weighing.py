"""Weighs the parts of the choice of answers (`ml.s2s.acts.Weights`) by what is right on validation questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ml.s2s.acts import ActReader, Acts, Weights
from ml.s2s.alignment import score_of
from ml.s2s.phone_lm import Readings, sure
from ml.s2s.train.acts import NONE, phrasings, right_plans
from ml.s2s.train.confusions import Confusions
from ml.s2s.train.data import Dialogues

if TYPE_CHECKING:
    from ml.data.corpus.loader import Corpus
    from ml.data.pairs import Pair

_STRANGERS = 300
_IMPORTANCE = {"wordings": 8.0}
_ENOUGH = {"out_of_domain": 0.93, "strangers": 0.93}
"""Shares beyond which a group need not be better: not to be understood is worse where one said something usual."""


def question_phones(text: str) -> list[int]:
    """Phones of a text as a question has them: without pauses."""
    return [phone for phone in score_of(text) if phone]


@dataclass(frozen=True, slots=True)
class Panel:
    """Questions that were read, by which a choice is judged."""

    logits: Tensor
    """[n, n_acts] of the n-grams."""
    nearness: Tensor
    """[n, n_acts] of known phrasings."""
    before: list[list[int]]
    """Plans of the turns before."""
    right: list[frozenset[int]]
    """Plans that are right."""
    groups: list[str]

    @staticmethod
    def of(
        reader: ActReader,
        said: Sequence[Readings],
        before: list[list[int]],
        right: list[frozenset[int]],
        groups: list[str],
    ) -> Panel:
        """Read what was `said`."""
        logits = reader.read(said)
        nearness = reader.nearness(logits, [readings[0][0] for readings in said], before)
        return Panel(logits, nearness, before, right, groups)

    def share_right(self, reader: ActReader) -> dict[str, float]:
        """Share of questions whose likeliest plan is right, by group."""
        plans = reader.called_for(reader.weighed(self.logits, self.nearness, self.before), self.before).argmax(dim=1)
        right: dict[str, list[bool]] = defaultdict(list)
        for group, plan, good in zip(self.groups, plans.tolist(), self.right, strict=True):
            right[group].append(plan in good)
        return {group: round(float(np.mean(values)), 4) for group, values in sorted(right.items())}


def panel_of_pairs(reader: ActReader, dialogues: Dialogues, pairs: Sequence[Pair], heard: dict[int, Readings]) -> Panel:
    """Pairs as their questions were heard."""
    plan_of = dialogues.plan_of
    return Panel.of(
        reader,
        [heard[pair.question] for pair in pairs],
        [[plan_of.get(answer, -1) for _, answer in pair.context] for pair in pairs],
        [frozenset(plan_of[a] for a in pair.answers if a in plan_of) for pair in pairs],
        [pair.group for pair in pairs],
    )


def panel_of_texts(
    reader: ActReader, corpus: Corpus, acts: Acts, strangers: Sequence[str], confusions: Confusions, seed: int
) -> Panel:
    """Every validation phrasing of an intent three times (`wordings`), sentences that are none (`strangers`), as they
    would be misheard: ten times as many as are spoken, so that the weights are not fitted to chance.
    """
    rng = np.random.default_rng((seed, 1))
    right = right_plans(corpus, acts)
    asked = [(text, right[act], "wordings") for text, act in phrasings(corpus, acts, "validation") if act in right]
    none = frozenset(acts.answers[acts.names.index(NONE)])
    listed = [*asked * 3, *((text, none, "strangers") for text in strangers[:_STRANGERS])]
    said = [sure(confusions.mishear(question_phones(text), 1.0, rng)) for text, _, _ in listed]
    return Panel.of(reader, said, [[] for _ in listed], [r for _, r, _ in listed], [group for _, _, group in listed])


@torch.inference_mode()
def fitted_weights(reader: ActReader, panels: Sequence[Panel]) -> Weights:
    """The weights of the choice's parts that are best on `panels` (coordinate search): groups alike, but for the
    wordings, of which there are ten times as many, and for what is none of the corpus's, which has to be good enough.
    """
    best, best_score = Weights(), -1.0
    grid = {
        "phrasing": (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
        "chain": (2.0, 4.0, 6.0, 8.0, 12.0),
        "follow": (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0),
        "lost": (-6.0, -4.0, -2.0, 0.0, 1.0),
        "fallback": (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
        "opening": (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0),
    }
    for _ in range(2):
        for name, values in grid.items():
            for value in values:
                tried = replace(best, **{name: value})
                reader.weigh(tried)
                shares = {group: share for panel in panels for group, share in panel.share_right(reader).items()}
                score = _score(shares)
                if score > best_score + 1e-9:
                    best, best_score = tried, score
    return best


def _score(shares: dict[str, float]) -> float:
    part = {group: _IMPORTANCE.get(group, 1.0) for group in shares if group not in _ENOUGH}
    mean = sum(shares[group] * part[group] for group in part) / max(1.0, sum(part.values()))
    return mean - 10.0 * sum(max(0.0, enough - shares[group]) for group, enough in _ENOUGH.items() if group in shares)
