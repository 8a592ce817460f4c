"""Acts from the dialogue corpus: what each question does, and what it calls for (`ml.s2s.acts`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ml.s2s.acts import CHAIN, FALLBACK, FOLLOWING, OPEN, Acts

if TYPE_CHECKING:
    from ml.data.corpus.loader import Corpus
    from ml.data.corpus.schema import Split
    from ml.data.pairs import Pair

NONE = "fallback"
"""Name of the act of whatever is none of the others."""


def acts_of(corpus: Corpus, plan_of_text: Mapping[str, int]) -> Acts:
    """Acts of the corpus whose answers are among the model's plans (text of an answer -> plan)."""
    rows: list[tuple[str, int, list[int], int]] = []
    following: dict[tuple[int, int], list[int]] = {}

    def plans(texts: Sequence[str]) -> list[int]:
        return [plan_of_text[text] for text in texts if text in plan_of_text]

    def follow(after: Sequence[int], kind: str, called: Sequence[int]) -> None:
        for plan in after:
            kept = following.setdefault((plan, FOLLOWING.index(kind)), [])
            kept += [other for other in called if other not in kept]

    for intent in corpus.intents.values():
        said = plans([answer.text for answer in intent.answers])
        if not said:
            continue
        rows.append((intent.id, OPEN, said, -1))
        why, more = plans([intent.why.text] if intent.why else []), plans([intent.more.text] if intent.more else [])
        follow([*said, *more], "why", why)
        follow([*said, *why], "more", more)
        for plan in said:
            follow([plan], "other", [other for other in said if other != plan])
        follow([*why, *more], "other", said)
    for chain in corpus.chains:
        last: list[int] = []
        for number, turn in enumerate(chain.turns):
            now = plans([turn.answer])
            if not now or (number and not last):
                break  # a small set of pairs has no use for this chain
            rows.append((f"{chain.id}/{number}", CHAIN, now, last[0] if number else -1))
            if turn.follow is not None and turn.follow != "other":
                following[last[0], FOLLOWING.index(turn.follow)] = now
            last = now
    for followup in corpus.followups.values():
        said = plans([answer.text for answer in followup.default])
        rows.append((f"follow.{followup.kind}", FOLLOWING.index(followup.kind), said, -1))
    rows.append((NONE, FALLBACK, plans([answer.text for answer in corpus.fallbacks]), -1))
    for plan in plan_of_text.values():
        following.setdefault((plan, FOLLOWING.index("again")), [plan])
    return Acts(
        names=tuple(row[0] for row in rows),
        kinds=tuple(row[1] for row in rows),
        answers=tuple(tuple(row[2]) for row in rows),
        after=tuple(row[3] for row in rows),
        following={key: tuple(called) for key, called in following.items() if called},
    )


class ActNames:
    """Finds the act of a pair or a phrasing."""

    def __init__(self, acts: Acts) -> None:
        self.of = {name: act for act, name in enumerate(acts.names)}
        self.chain = {
            (acts.after[act], acts.answers[act][0]): act for act, kind in enumerate(acts.kinds) if kind == CHAIN
        }

    def of_pair(self, pair: Pair, plan_of: Mapping[str, int]) -> int:
        """Act of a pair's question; -1 when the corpus has none such."""
        if pair.kind == "chain":
            last = plan_of.get(pair.context[-1][1], -1) if pair.context else -1
            return self.chain.get((last, plan_of.get(pair.answers[0], -1)), -1)
        return self.of.get(NONE if pair.kind == "out_of_domain" else pair.intent, -1)


def right_plans(corpus: Corpus, acts: Acts) -> dict[int, frozenset[int]]:
    """Intent (as an act) -> plans that are right when it is asked and nothing was said before."""
    of = {name: act for act, name in enumerate(acts.names)}
    found = {of[name]: set(acts.answers[of[name]]) for name in corpus.intents if name in of}
    for name, intent in corpus.intents.items():
        for other in intent.also:
            if name in of and other in of:
                found[of[name]] |= set(acts.answers[of[other]])
    for chain in corpus.chains:
        first = chain.turns[0]
        if first.suits_intent and (asked := of.get(str(first.intent))) is not None and f"{chain.id}/0" in of:
            found[asked] |= set(acts.answers[of[f"{chain.id}/0"]])
    return {act: frozenset(plans) for act, plans in found.items()}


def phrasings(corpus: Corpus, acts: Acts, split: Split) -> Iterator[tuple[str, int]]:
    """(text, act) of everything that the corpus' files have for a split."""
    of = {name: act for act, name in enumerate(acts.names)}
    asks = [(intent.id, intent.ask) for intent in corpus.intents.values()]
    asks += [(f"follow.{kind}", followup.ask) for kind, followup in corpus.followups.items()]
    for name, ask in asks:
        if name in of:
            yield from ((text, of[name]) for text in ask.of(split))
    for chain in corpus.chains:
        for number, turn in enumerate(chain.turns):
            if (name := f"{chain.id}/{number}") in of:
                yield from ((text, of[name]) for text in turn.ask.of(split))
