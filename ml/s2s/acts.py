"""Which answer fits what was heard: the dialogue act, from n-grams of the encoder's own phones, and the turn before.

An act is what a question does: one of the corpus' intents, a follow-up ("why?", "again"), a turn of a chain, or none of
these. A linear reader of phone n-grams (as fastText reads words, Joulin et al. 2017) finds it: an unknown wording that
shares words with known ones is near them from the start, and every wording of an act teaches the one act. What an act
calls for then depends on the answer before, by tables from the corpus: "why?" after a certain answer has its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.s2s.config import S2SConfig, S2SConfigError
from ml.s2s.nearest import KnownSequences
from ml.s2s.phone_lm import PhoneLM, Readings

ORDERS = (1, 2, 3, 4, 5, 6)
"""Lengths of the n-grams."""
OPEN, CHAIN, FALLBACK = 4, 5, 6
"""Kinds of acts above those of follow-ups, which are their place in `FOLLOWING`."""
FOLLOWING = ("again", "why", "more", "other")
ANSWERS = 16
"""Answers of one act that are kept."""
FOLLOWED = 4
"""Answers of one kind of follow-up after one answer that are kept."""
NEAREST = 24
"""Likeliest acts whose known phrasings are compared with what was heard, phone by phone."""
FAR = 0.6
"""Share of phones that differ beyond which it does not matter how many do."""
NO_PHONE = 255
NEVER = -1e4
HASH_PRIME, HASH_MASK = 1_000_003, (1 << 61) - 1


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
            code = (code * HASH_PRIME + symbol * 97 + 7) & HASH_MASK
            found.add(((code ^ (code >> 29)) * 31 + order) % buckets)
    return sorted(found)


@dataclass(frozen=True)
class Acts:
    """All acts, in index order, and what they call for, as plans (indices of answers)."""

    names: tuple[str, ...]
    kinds: tuple[int, ...]
    """Place in `FOLLOWING`, or OPEN, CHAIN, FALLBACK."""
    answers: tuple[tuple[int, ...], ...]
    """Of each act, whatever was said before."""
    after: tuple[int, ...]
    """The answer before a chain's turn; -1 for a chain's first turn and for every other act."""
    following: dict[tuple[int, int], tuple[int, ...]]
    """(plan, kind of follow-up) -> what that follow-up calls for after that answer."""


@dataclass(frozen=True)
class Weights:
    """How the parts of the choice are weighed; fitted on the validation pairs."""

    phrasing: float = 25.0
    """Logits per share of phones in which the nearest known phrasing of an act differs."""
    chain: float = 6.0
    """Logits for the turn of a chain whose turn before was just answered."""
    follow: float = 0.0
    """Logits for follow-ups after an answer that they can follow."""
    lost: float = -4.0
    """The same when nothing was said that they could follow."""
    fallback: float = 0.0
    """Logits for being none of the acts."""
    opening: float = 0.0
    """Logits for the first turns of chains, which are cases of intents."""


class ActReader(nn.Module):
    """Readings of n questions and the plans of the turns before them to plan logits `[n, n_plans]`."""

    rarity: Tensor
    known: Tensor
    known_act: Tensor
    kinds: Tensor
    answers: Tensor
    after: Tensor
    following: Tensor
    weights: Tensor

    def __init__(self, config: S2SConfig) -> None:
        super().__init__()
        self.buckets, self.n_plans, self.blank = config.phrase_buckets, config.n_plans, config.n_phones
        acts, width = config.n_acts, config.phrase_width
        self.n_acts = acts
        self.register_buffer("rarity", torch.ones(self.buckets))
        shape = (config.phrase_known, config.phrase_length)
        self.register_buffer("known", torch.full(shape, NO_PHONE, dtype=torch.uint8))
        self.register_buffer("known_act", torch.full(shape[:1], -1, dtype=torch.int16))
        self.register_buffer("kinds", torch.full((acts,), OPEN, dtype=torch.int8))
        self.register_buffer("answers", torch.full((acts, ANSWERS), -1, dtype=torch.int16))
        self.register_buffer("after", torch.full((acts,), -1, dtype=torch.int16))
        follows = (config.n_plans, len(FOLLOWING), FOLLOWED)
        self.register_buffer("following", torch.full(follows, -1, dtype=torch.int16))
        self.register_buffer("weights", torch.zeros(len(fields(Weights))))
        self.grams = nn.EmbeddingBag(self.buckets, width, mode="sum")
        self.choose = nn.Linear(width, acts)
        nn.init.normal_(self.grams.weight, std=0.3)
        nn.init.zeros_(self.choose.bias)
        self.weigh(Weights())
        self._phrasings: _Phrasings | None = None
        self._language: tuple[tuple[int, int], PhoneLM] | None = None

    # -- tables ------------------------------------------------------------------------------------------

    def learn(self, acts: Acts) -> None:
        """Take over the tables of `acts`. Raises S2SConfigError when there are more than the model has room for."""
        if len(acts.names) != self.n_acts:
            raise S2SConfigError(f"{len(acts.names)} acts do not fit a model of n_acts={self.n_acts}")
        self.kinds.copy_(torch.tensor(acts.kinds, dtype=torch.int8))
        self.after.copy_(torch.tensor(acts.after, dtype=torch.int16))
        _fill(self.answers, acts.answers)
        self.following.fill_(-1)
        for (plan, kind), called in acts.following.items():
            self.following[plan, kind, : len(called[:FOLLOWED])] = torch.tensor(called[:FOLLOWED], dtype=torch.int16)

    def weigh(self, weights: Weights) -> None:
        """Set the weights of the parts."""
        self.weights.copy_(torch.tensor(astuple(weights)))

    def remember_phrasings(self, phrasings: Sequence[tuple[Sequence[int], int]]) -> None:
        """Fill the table of known phrasings: (phones, act) of each, the first `phrase_known` of them."""
        self.known.fill_(NO_PHONE)
        self.known_act.fill_(-1)
        length = self.known.shape[1]
        for row, (phones, act) in enumerate(phrasings[: len(self.known)]):
            kept = torch.tensor(list(phones)[:length], dtype=torch.uint8)
            self.known[row, : len(kept)] = kept
            self.known_act[row] = act

    # -- use ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make now what would be made when the first question is over."""
        self.language()
        self._known()

    def forward(self, heard: Sequence[Readings], before: Sequence[Sequence[int]]) -> Tensor:
        """`heard`: the questions as they may have been; `before`: plans of earlier turns, newest last, -1 where one
        is unknown.
        """
        return self.called_for(self.acts(heard, before), before)

    def acts(self, heard: Sequence[Readings], before: Sequence[Sequence[int]]) -> Tensor:
        """Logits of the acts `[n, n_acts]`, after comparison with known phrasings and with what was said before."""
        logits = self.read(heard)
        nearness = self.nearness(logits, [readings[0][0] for readings in heard], before)
        return self.weighed(logits, nearness, before)

    def read(self, heard: Sequence[Readings]) -> Tensor:
        """Logits of the acts from n-grams alone, each reading of a question by its share."""
        logits = self.logits([ngrams(phones, self.buckets) for readings in heard for phones, _ in readings])
        shares = logits.new_tensor([share for readings in heard for _, share in readings])
        rows = torch.repeat_interleave(
            torch.arange(len(heard), device=logits.device),
            torch.tensor([len(readings) for readings in heard], device=logits.device),
        )
        return logits.new_zeros(len(heard), logits.shape[1]).index_add_(0, rows, logits * shares[:, None])

    def logits(self, grams: Sequence[Sequence[int]], dropout: float = 0.0) -> Tensor:
        """Logits of the acts from buckets of n-grams alone; `dropout` hides that share of n-grams."""
        device = self.rarity.device
        flat = torch.tensor([g for row in grams for g in row], dtype=torch.int64, device=device)
        return self.logits_of(flat, torch.tensor([len(row) for row in grams], device=device), dropout)

    def logits_of(self, flat: Tensor, counts: Tensor, dropout: float = 0.0) -> Tensor:
        """The same of rows of `counts` buckets each that lie end to end in `flat`."""
        device = flat.device
        weights = self.rarity[flat]
        if dropout:
            weights = weights * (torch.rand_like(weights) >= dropout)
        rows = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)
        norms = torch.zeros(len(counts), device=device).index_add_(0, rows, weights.square()).clamp_min(1e-6).sqrt()
        offsets = counts.cumsum(0) - counts
        return self.choose(self.grams(flat, offsets, per_sample_weights=weights / norms[rows]))

    @torch.no_grad()
    def nearness(self, logits: Tensor, phones: Sequence[Sequence[int]], before: Sequence[Sequence[int]]) -> Tensor:
        """Share of phones `[n, n_acts]` in which the nearest known phrasing of each act differs from what was heard;
        FAR at the most, and for acts that are unlikely anyway.
        """
        distance = torch.full_like(logits, FAR)
        if not len(self.known):
            return distance
        known = self._known()
        possible = logits + torch.stack([self._impossible(self._last(row)) for row in before])
        likely = possible.topk(min(NEAREST, self.n_acts), dim=1).indices.tolist()
        for row, heard in enumerate(phones):
            if not heard:
                continue
            rows = np.concatenate([known.rows[act] for act in likely[row]])
            # Said as it is known: of any act, however unlikely the n-grams think it.
            distance[row, known.acts[known.sequences.same(list(heard))]] = 0.0
            if not len(rows):
                continue
            edits = known.sequences.distances(list(heard), rows)
            shares = torch.from_numpy(edits / np.maximum(known.sequences.lengths[rows], len(heard))).to(logits)
            distance[row].scatter_reduce_(0, torch.from_numpy(known.acts[rows]).to(logits.device), shares, "amin")
        return distance.clamp_max(FAR)

    def language(self) -> PhoneLM:
        """Which phones follow which in the known phrasings; made when first asked for and when they have changed."""
        state = (self.known.data_ptr(), self.known._version)
        if self._language is None or self._language[0] != state:
            self._language = (state, PhoneLM(self.known.cpu().numpy(), NO_PHONE, self.blank))
        return self._language[1]

    def _known(self) -> _Phrasings:
        """The table of known phrasings, ready for comparison; made anew when it has changed."""
        state = (self.known.data_ptr(), self.known._version, self.known_act._version)
        if self._phrasings is None or self._phrasings.state != state:
            acts = self.known_act.cpu().numpy().astype(np.int64)
            by_act = np.argsort(acts, kind="stable")
            ends = np.searchsorted(acts[by_act], np.arange(self.n_acts + 1))
            rows = [by_act[start:end] for start, end in itertools.pairwise(ends)]
            sequences = KnownSequences(self.known.cpu().numpy(), NO_PHONE, self.blank)
            self._phrasings = _Phrasings(state, sequences, acts, rows)
        return self._phrasings

    def weighed(self, logits: Tensor, nearness: Tensor, before: Sequence[Sequence[int]]) -> Tensor:
        """Logits of the acts with the nearness of known phrasings and the turn before."""
        phrasing, chain, follow, lost, fallback, opening = self.weights
        found = logits - phrasing * nearness + fallback * (self.kinds == FALLBACK)
        found += opening * ((self.kinds == CHAIN) & (self.after < 0))
        follows = self.kinds < OPEN
        for row, plans in enumerate(before):
            last = self._last(plans)
            found[row] += self._impossible(last)
            if last >= 0:
                found[row] += chain * ((self.kinds == CHAIN) & (self.after == last))
                can = self.following[last, :, 0] >= 0
                kinds = self.kinds.to(torch.int64).clamp_max(len(FOLLOWING) - 1)
                found[row] += torch.where(can[kinds], follow, lost) * follows
            else:
                found[row] += lost * follows
        return found

    def called_for(self, acts: Tensor, before: Sequence[Sequence[int]]) -> Tensor:
        """Plan logits `[n, n_plans]` of acts' logits: the likeliest act's answers, those given before less likely."""
        found = acts.new_full((acts.shape[0], self.n_plans), NEVER)
        for row, act in enumerate(acts.argmax(dim=1).tolist()):
            plans = self.plans_of(act, self._last(before[row]))
            said = set(before[row])
            fresh = [plan for plan in plans if plan not in said] or plans
            found[row, plans] = -8.0
            found[row, fresh] = 0.0
        return found

    def plans_of(self, act: int, last: int) -> list[int]:
        """Answers that an act calls for after the answer `last` (-1: none, or unknown)."""
        kind = int(self.kinds[act])
        plans = self.following[last, kind].tolist() if last >= 0 and kind < OPEN else []
        kept = [plan for plan in plans if plan >= 0]
        return kept or [plan for plan in self.answers[act].tolist() if plan >= 0]

    def _impossible(self, last: int) -> Tensor:
        """NEVER for turns of chains that do not follow `last`."""
        wrong = (self.kinds == CHAIN) & (self.after >= 0) & (self.after != last)
        return wrong * NEVER

    def _last(self, before: Sequence[int]) -> int:
        """The newest answer that said something: not having understood is no answer."""
        polite = set(self.answers[self.kinds == FALLBACK].flatten().tolist()) - {-1}
        return next((plan for plan in reversed(before) if plan not in polite), -1)


@dataclass(frozen=True)
class _Phrasings:
    """Known phrasings in the form in which they are compared."""

    state: tuple[int, int, int]
    """Of the tables that this was made from."""
    sequences: KnownSequences
    acts: NDArray[np.int64]
    """Of each phrasing; -1 where a row of the table is free."""
    rows: list[NDArray[np.int64]]
    """Phrasings of each act."""


def _fill(table: Tensor, rows: Sequence[Sequence[int]]) -> None:
    table.fill_(-1)
    for at, row in enumerate(rows):
        kept = list(row)[: table.shape[1]]
        table[at, : len(kept)] = torch.tensor(kept, dtype=table.dtype)
