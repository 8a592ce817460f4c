"""The choice of answers: what an act calls for after what was said, and that it is learned from wordings alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ml.data.corpus.loader import load_corpus
from ml.data.corpus.schema import sound_key
from ml.data.corpus.topic_words import load_topic_words
from ml.s2s.acts import CHAIN, FALLBACK, FOLLOWING, OPEN, ActReader, Acts, Weights, ngrams
from ml.s2s.config import S2SConfig, S2SConfigError
from ml.s2s.phone_lm import sure
from ml.s2s.train.acts import NONE, ActNames, acts_of, phrasings, right_plans
from ml.s2s.train.choice import ChoiceConfig, Examples, _fit, _fit_averaged
from ml.s2s.train.confusions import Confusions, aligned
from ml.s2s.train.gram_batches import GramTable
from ml.s2s.train.weighing import Panel, fitted_weights, question_phones

ACTS = Acts(
    names=("a", "b", "c/0", "c/1", "follow.again", "follow.why", NONE),
    kinds=(OPEN, OPEN, CHAIN, CHAIN, FOLLOWING.index("again"), FOLLOWING.index("why"), FALLBACK),
    answers=((0, 1), (2,), (3,), (4,), (5,), (6,), (7,)),
    after=(-1, -1, -1, 3, -1, -1, -1),
    following={(0, 1): (8,), (0, 0): (0,), (1, 0): (1,), (3, 0): (3,)},
)


def reader_of(acts: Acts, plans: int, **changes: int) -> ActReader:
    config = S2SConfig.named(
        "tiny", n_plans=plans, n_acts=len(acts.names), phrase_buckets=2_048, phrase_width=32, **changes
    )
    reader = ActReader(config)
    reader.learn(acts)
    return reader


def favoured(act: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([act]), len(ACTS.names)).float() * 5.0


def answer(reader: ActReader, act: int, before: list[int]) -> set[int]:
    logits = favoured(act)
    weighed = reader.weighed(logits, torch.zeros_like(logits), [before])
    plans = reader.called_for(weighed, [before])[0]
    return set((plans == plans.max()).nonzero()[:, 0].tolist())


def test_a_followup_means_what_the_answer_before_makes_of_it() -> None:
    reader = reader_of(ACTS, 9)
    reader.weigh(Weights(lost=0.0))
    why, again = ACTS.names.index("follow.why"), ACTS.names.index("follow.again")
    assert answer(reader, why, [0]) == {8}
    assert answer(reader, again, [0]) == {0}
    assert answer(reader, why, []) == {6}, "nothing was said yet: the answer for that"
    assert answer(reader, why, [0, 7]) == {8}, "not having understood is no answer to ask about"


def test_a_turn_of_a_chain_needs_the_turn_before_it() -> None:
    reader = reader_of(ACTS, 9)
    assert answer(reader, 3, [3]) == {4}
    assert 4 not in answer(reader, 3, [])
    assert 4 not in answer(reader, 3, [0])


def test_an_opening_may_give_way_to_the_intent_that_it_is_a_case_of() -> None:
    reader = reader_of(ACTS, 9)
    both = favoured(ACTS.names.index("c/0")) * 1.2 + favoured(ACTS.names.index("b"))
    for opening, plan in ((0.0, 3), (-2.0, 2)):
        reader.weigh(Weights(opening=opening))
        weighed = reader.weighed(both, torch.zeros_like(both), [[]])
        assert int(reader.called_for(weighed, [[]])[0].argmax()) == plan
    assert answer(reader, 3, [3]) == {4}, "a chain that has begun goes on"


def test_right_are_an_intents_own_answers_and_those_of_others_that_suit() -> None:
    corpus = load_corpus()
    plan_of = {text: plan for plan, text in enumerate(dict.fromkeys(a.text for a in corpus.answers()))}
    acts = acts_of(corpus, plan_of)
    right = right_plans(corpus, acts)
    intent = next(intent for intent in corpus.intents.values() if intent.also)
    texts = {text for text, plan in plan_of.items() if plan in right[acts.names.index(intent.id)]}
    wanted = {answer.text for name in (intent.id, *intent.also) for answer in corpus.intents[name].answers}
    openings = {chain.turns[0].answer for chain in corpus.chains if chain.turns[0].suits_intent}
    assert wanted <= texts <= wanted | openings
    chain = next(chain for chain in corpus.chains if chain.turns[0].suits_intent)
    assert plan_of[chain.turns[0].answer] in right[acts.names.index(str(chain.turns[0].intent))]


def test_weights_are_those_that_are_right_most_often() -> None:
    reader = reader_of(ACTS, 9)
    nothing = torch.zeros(1, len(ACTS.names))
    # Two of three questions are the intent's and sound a little more like the opening; one is the opening's.
    near = favoured(ACTS.names.index("c/0")) * 1.3 + favoured(ACTS.names.index("b"))
    sure_of_it = favoured(ACTS.names.index("c/0")) * 3.0
    right = [frozenset({2}), frozenset({2}), frozenset({3})]
    panel = Panel(torch.cat([near, near, sure_of_it]), nothing.repeat(3, 1), [[], [], []], right, ["wordings"] * 3)
    found = fitted_weights(reader, [panel])
    assert found.opening < 0
    none = ACTS.names.index(NONE)
    stranger = favoured(none) + favoured(ACTS.names.index("b")) * 1.3  # a little more like an intent than like nothing
    strangers = Panel(stranger, nothing, [[]], [frozenset({7})], ["strangers"])
    wary = fitted_weights(reader, [panel, strangers])
    assert wary.fallback > 0, "of what is none enough must be known as such"
    reader.weigh(found)
    assert panel.share_right(reader) == {"wordings": 1.0}


def test_topic_words_are_pieces_of_intents_and_none_is_held_out() -> None:
    corpus = load_corpus()
    words = load_topic_words(corpus.intents)
    assert set(words) == set(corpus.intents)
    kept = {sound_key(text) for split in ("validation", "test") for text in corpus.held_out(split)}
    heard: dict[str, str] = {}
    for name, pieces in words.items():
        for piece in pieces:
            assert 1 <= len(piece.split()) <= 5
            assert question_phones(piece)
            assert sound_key(piece) not in kept
            assert heard.setdefault(sound_key(piece), name) == name, f"{piece} stands under two intents"
    assert load_topic_words(corpus.intents, Path("nowhere.yaml")) == {}


def test_what_was_said_already_is_not_said_again_while_there_is_another() -> None:
    reader = reader_of(ACTS, 9)
    assert answer(reader, 0, []) == {0, 1}
    assert answer(reader, 0, [1]) == {0}
    assert answer(reader, 1, [2]) == {2}


def test_tables_of_another_size_are_refused() -> None:
    reader = reader_of(ACTS, 9)
    with pytest.raises(S2SConfigError, match="n_acts=7"):
        reader.learn(replace(ACTS, names=(*ACTS.names, "one more")))
    with pytest.raises(S2SConfigError, match="n_acts"):
        S2SConfig.named("tiny", n_plans=3, phrase_buckets=16)


def test_every_answer_of_the_corpus_has_a_way_to_it() -> None:
    corpus = load_corpus()
    plan_of = {text: plan for plan, text in enumerate(dict.fromkeys(a.text for a in corpus.answers()))}
    acts = acts_of(corpus, plan_of)
    reached = {plan for plans in acts.answers for plan in plans} | {p for ps in acts.following.values() for p in ps}
    assert reached == set(plan_of.values())
    assert all(acts.answers), "no act is without an answer"
    for act, name in enumerate(acts.names):
        number = int(name.rsplit("/", 1)[1]) if acts.kinds[act] == CHAIN else 0
        assert (acts.after[act] >= 0) == (number > 0)
    heard = {act for _, act in phrasings(corpus, acts, "train")}
    assert heard == set(range(len(acts.names))) - {ActNames(acts).of[NONE]}


def test_wordings_alone_teach_the_acts_and_known_ones_are_found_again() -> None:
    corpus = load_corpus()
    chosen = ["food.hungry", "jokes.tell_joke", "weather.hot"]
    chosen = [name for name in chosen if name in corpus.intents] or list(corpus.intents)[:3]
    acts = Acts((*chosen, NONE), (OPEN,) * len(chosen) + (FALLBACK,), tuple((i,) for i in range(len(chosen) + 1)),
                (-1,) * (len(chosen) + 1), {})  # fmt: skip
    written = [(text, act) for act, name in enumerate(chosen) for text in corpus.intents[name].ask.train]
    hearing = Confusions(49, [([1, 2, 3], [1, 2, 3])])
    config = ChoiceConfig(variants=2, epochs=6, batch=16)
    strangers = ["రాముడు అడవికి వెళ్ళెను", "పుస్తకం మీద దుమ్ము పేరుకుంది", "నది ఒడ్డున చెట్టు ఉన్నది"]
    examples = Examples(corpus, ActNames(acts), written, [], strangers, hearing, config)
    reader = reader_of(acts, 4, phrase_known=len(written))
    torch.manual_seed(0)
    _fit(reader, examples, np.random.default_rng(0), lambda items, _title: items)
    reader.remember_phrasings([(examples.phones(text), act) for text, act in written])
    said = [examples.phones(text) for text, _ in written]
    logits = reader.logits([ngrams(phones, reader.buckets) for phones in said])
    right = logits.argmax(dim=1) == torch.tensor([act for _, act in written])
    assert right.float().mean() > 0.9
    nearness = reader.nearness(logits, said, [[]] * len(said))
    known = [row for row, phones in enumerate(said) if len(phones) <= reader.known.shape[1]]
    assert all(float(nearness[row, written[row][1]]) == 0.0 for row in known)


def test_the_mean_of_fits_says_about_what_they_say_together() -> None:
    corpus = load_corpus()
    chosen = list(corpus.intents)[:3]
    acts = Acts((*chosen, NONE), (OPEN,) * 3 + (FALLBACK,), tuple((i,) for i in range(4)), (-1,) * 4, {})
    written = [(text, act) for act, name in enumerate(chosen) for text in corpus.intents[name].ask.train[:12]]
    hearing = Confusions(49, [([1, 2, 3], [1, 2, 3])])
    config = ChoiceConfig(variants=2, epochs=2, batch=16, fits=2, learning_rate=1e-3)
    examples = Examples(corpus, ActNames(acts), written, [], [], hearing, config)
    said = [ngrams(examples.phones(text), 2_048) for text, _ in written]
    reader = reader_of(acts, 4)
    beginning = {name: value.clone() for name, value in reader.state_dict().items()}
    alone = []
    for number in range(2):
        reader.load_state_dict(beginning)
        torch.manual_seed(number)
        _fit(reader, examples, np.random.default_rng((0, number)), lambda items, _title: items)
        alone.append(reader.logits(said))
    reader.load_state_dict(beginning)
    _fit_averaged(reader, examples, lambda items, _title: items)
    together = (alone[0] + alone[1]) / 2
    assert not torch.allclose(alone[0], alone[1], atol=1e-2)
    assert (reader.logits(said) - together).abs().mean() < 0.3 * (alone[0] - alone[1]).abs().mean()


def test_a_known_phrasing_is_found_however_unlikely_the_n_grams_think_its_act() -> None:
    acts = Acts((*(f"a{n}" for n in range(40)), NONE), (OPEN,) * 40 + (FALLBACK,), tuple((n,) for n in range(41)),
                (-1,) * 41, {})  # fmt: skip
    reader = reader_of(acts, 41, phrase_known=2)
    reader.remember_phrasings([([3, 4, 5, 6], 39), ([9, 8, 7], 2)])
    unlikely = torch.arange(41, 0, -1).float()[None]
    nearness = reader.nearness(unlikely, [[3, 4, 5, 6]], [[]])
    assert float(nearness[0, 39]) == 0.0
    assert float(reader.nearness(unlikely, [[3, 4, 5, 7]], [[]])[0, 39]) > 0.5, "only what is exactly known"


def test_each_reading_counts_by_its_share() -> None:
    acts = Acts(("a", "b", NONE), (OPEN, OPEN, FALLBACK), ((0,), (1,), (2,)), (-1, -1, -1), {})
    reader = reader_of(acts, 3)
    torch.manual_seed(0)
    torch.nn.init.normal_(reader.choose.weight)
    one, other = [3, 4, 5, 6], [9, 8, 7]
    apart = reader.logits([ngrams(phones, reader.buckets) for phones in (one, other)])
    mixed = reader.read([[(one, 0.75), (other, 0.25)], sure(other)])
    assert torch.allclose(mixed[0], 0.75 * apart[0] + 0.25 * apart[1], atol=1e-5)
    assert torch.allclose(mixed[1], apart[1], atol=1e-5)


def test_mishearing_makes_as_many_errors_as_were_counted() -> None:
    rng = np.random.default_rng(0)
    assert aligned([1, 2, 3, 4], [1, 3, 4, 5]) == [(1, 1), (2, -1), (3, 3), (4, 4), (-1, 5)]
    true = [rng.integers(1, 40, 30).tolist() for _ in range(200)]
    heard = [[9 if p == 5 else p for p in row if p != 7] for row in true]
    confusions = Confusions(49, zip(true, heard, strict=True), prior=1e-6)
    said = confusions.mishear(list(range(1, 40)) * 20, 1.0, rng)
    assert 5 not in said
    assert 7 not in said
    assert len(said) == 38 * 20
    assert confusions.mishear([5, 7, 1], 0.0, rng) == [5, 7, 1]
    assert confusions.mishear([], 1.0, rng) == []


@given(st.lists(st.lists(st.integers(0, 48), max_size=20), min_size=1, max_size=6), st.sampled_from([64, 1000, 32_768]))
def test_many_sequences_have_the_n_grams_that_each_has_alone(sequences: list[list[int]], buckets: int) -> None:
    table = GramTable(sequences, buckets)
    flat, counts = table.rows(np.arange(len(sequences))[::-1].copy())
    parts = [part.tolist() for part in flat.split(counts.tolist())]
    assert parts == [ngrams(phones, buckets) for phones in sequences[::-1]]
    assert table.occurrences().sum() == len(flat)
