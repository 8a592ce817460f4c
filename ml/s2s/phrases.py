"""Which answer fits what was heard: n-grams of the encoder's own phone belief, and the answers given before.

Attention that learns to sum up a question from nothing needs some hundred thousand questions; a bag of phone n-grams
(as fastText reads words, Joulin et al. 2017) needs a few of each phrasing, and an unknown phrasing that shares words
with known ones is near them from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.recogniser.decode import padded_distances
from ml.s2s.config import S2SConfig

ORDERS = (1, 2, 3, 4, 5, 6)
"""Lengths of the n-grams."""
BEFORE = 2
"""Earlier answers that count."""
KNOWN_PLANS = 6
"""Answers kept for a known phrasing."""
NO_PHONE = 255
NEAREST, WEIGHT, FAR = 150, 25.0, 0.6
"""Plans whose phrasings are compared; logits per unit of distance, and the distance beyond which it does not matter:
chosen on the validation pairs."""
_PRIME, _MASK = 1_000_003, (1 << 61) - 1


def collapsed(path: Sequence[int], blank: int, silent: Sequence[int] = ()) -> list[int]:
    """Phones of a CTC best path: repeats merged, blanks and `silent` classes left out."""
    found: list[int] = []
    previous = blank
    for label in path:
        if label not in (previous, blank) and label not in silent:
            found.append(label)
        previous = label
    return found


def ngrams(phones: Sequence[int], buckets: int) -> list[int]:
    """Buckets of all n-grams of `phones` with a mark at both ends, each once."""
    marked = [0, *(p + 2 for p in phones), 1]
    found = set()
    for start in range(len(marked)):
        code = 17
        for order, symbol in enumerate(marked[start : start + ORDERS[-1]], start=1):
            code = (code * _PRIME + symbol * 97 + 7) & _MASK
            found.add(((code ^ (code >> 29)) * 31 + order) % buckets)
    return sorted(found)


class PhraseReader(nn.Module):
    """Phones of n questions and the plans of the turns before them to plan logits `[n, n_plans]`."""

    rarity: Tensor
    known: Tensor
    known_plans: Tensor

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        width = config.phrase_width
        self.buckets, self.n_plans, self.blank = config.phrase_buckets, config.n_plans, config.n_phones
        self.register_buffer("rarity", torch.ones(self.buckets))
        shape = (config.phrase_known, config.phrase_length)
        stored = config.phrase_known > 0
        self.register_buffer("known", torch.full(shape, NO_PHONE, dtype=torch.uint8), persistent=stored)
        plans = torch.full((config.phrase_known, KNOWN_PLANS), -1, dtype=torch.int16)
        self.register_buffer("known_plans", plans, persistent=stored)
        self.grams = nn.EmbeddingBag(self.buckets, width, mode="sum", sparse=True)
        self.before = nn.Embedding((config.n_plans + 1) * BEFORE, width)
        self.mix = nn.Linear((1 + BEFORE) * width, 4 * width)
        self.norm = nn.LayerNorm(4 * width)
        self.choose = nn.Linear(4 * width, config.n_plans)
        nn.init.normal_(self.grams.weight, std=0.3)
        nn.init.normal_(self.before.weight, std=0.1)

    def forward(self, paths: Sequence[Sequence[int]], before: Sequence[Sequence[int]], dropout: float = 0.0) -> Tensor:
        """`paths`: CTC best paths (classes per step) of the questions; `before`: plans of earlier turns, newest last,
        -1 where one is unknown. `dropout` hides that share of n-grams.
        """
        phones = [collapsed(path, self.blank) for path in paths]
        logits = self.logits([ngrams(row, self.buckets) for row in phones], before, dropout)
        return logits if self.training else self.compared(logits, phones, before)

    def remember_phrasings(self, phrasings: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
        """Fill the table of known phrasings: (phones, plans) of each; `phrase_known` of them."""
        length = self.known.shape[1]
        for row, (phones, plans) in enumerate(phrasings):
            kept = torch.tensor(list(phones)[:length], dtype=torch.uint8)
            self.known[row, : len(kept)] = kept
            told = torch.tensor(list(plans)[:KNOWN_PLANS], dtype=torch.int16)
            self.known_plans[row, : len(told)] = told

    @torch.no_grad()
    def compared(self, logits: Tensor, phones: Sequence[Sequence[int]], before: Sequence[Sequence[int]]) -> Tensor:
        """`logits` of the n-grams corrected by how far each row's phones are from the known phrasings (edit distance),
        for rows that open a conversation: what a follow-up means is not in its words.
        """
        if not len(self.known):
            return logits
        likely = logits.topk(min(NEAREST, self.n_plans), dim=1).indices.cpu()
        plans = self.known_plans.cpu().to(torch.int64)
        distance = torch.full_like(logits, FAR)
        for row, heard in enumerate(phones):
            if before[row] or not heard:
                continue
            rows = torch.isin(plans[:, 0], likely[row]).nonzero()[:, 0]
            table = self.known[rows.to(self.known.device)].cpu().numpy().astype(np.int64)
            lengths = (table != NO_PHONE).sum(axis=1)
            edits = padded_distances(list(heard), table[:, : int(lengths.max(initial=1))], lengths)
            shares = torch.from_numpy(edits / np.maximum(lengths, len(heard))).to(logits)
            for column in range(KNOWN_PLANS):
                told = plans[rows, column]
                there = told >= 0
                distance[row].scatter_reduce_(0, told[there].to(logits.device), shares[there.to(logits.device)], "amin")
        return logits - WEIGHT * distance.clamp_max(FAR)

    def logits(self, grams: Sequence[Sequence[int]], before: Sequence[Sequence[int]], dropout: float = 0.0) -> Tensor:
        """As `forward`, from buckets of n-grams."""
        device = self.rarity.device
        flat = torch.tensor([g for row in grams for g in row], dtype=torch.int64, device=device)
        counts = torch.tensor([len(row) for row in grams], device=device)
        weights = self.rarity[flat]
        if dropout:
            weights = weights * (torch.rand_like(weights) >= dropout)
        rows = torch.repeat_interleave(torch.arange(len(grams), device=device), counts)
        norms = torch.zeros(len(grams), device=device).index_add_(0, rows, weights.square()).clamp_min(1e-6).sqrt()
        offsets = counts.cumsum(0) - counts
        heard = self.grams(flat, offsets, per_sample_weights=weights / norms[rows])
        known = [[p if p >= 0 else self.n_plans for p in row[-BEFORE:]][::-1] for row in before]
        known = [row + [self.n_plans] * (BEFORE - len(row)) for row in known]
        places = torch.tensor(known, dtype=torch.int64, device=device)
        places = places + torch.arange(BEFORE, device=device) * (self.n_plans + 1)
        told = self.before(places).flatten(1)
        hidden = functional.silu(self.norm(self.mix(torch.cat([heard, told], dim=1))))
        return self.choose(functional.dropout(hidden, 0.3, self.training))
