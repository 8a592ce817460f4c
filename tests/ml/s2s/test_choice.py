"""`train choice` from pairs to a model that chooses: passes over phrasings, and none for the phrasings of a new day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ml.cli.train import app
from ml.data.corpus.loader import Corpus, load_corpus
from ml.s2s.acts import NO_PHONE
from ml.s2s.config import S2SConfig
from ml.s2s.model import S2SModel
from ml.s2s.train.acts import acts_of, phrasings
from ml.s2s.train.choice import ChoiceConfig, fit_choice
from ml.s2s.train.data import Dialogues
from ml.s2s.train.weighing import question_phones

from .toy_pairs import ToyText, toy_pairs


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus()


@pytest.fixture(scope="module")
def dialogues(corpus: Corpus) -> Dialogues:
    """Toy pairs whose three intents, fallback and follow-up are the corpus's."""
    pairs: Any = toy_pairs()
    for number, intent in enumerate(list(corpus.intents.values())[:3]):
        pairs.texts[f"a{number}"] = ToyText(intent.answers[0].text, "happy")
    pairs.texts["fallback.0"] = ToyText(corpus.fallbacks[0].text, "neutral")
    pairs.texts["follow.0"] = ToyText(corpus.followups["why"].default[0].text, "thinking")
    return Dialogues(pairs, S2SConfig.named("tiny", n_plans=5, second_layers=1))


def acts_and_model(corpus: Corpus, dialogues: Dialogues, known: int) -> tuple[Any, S2SModel]:
    acts = acts_of(corpus, {dialogues.set.texts[answer].text: plan for answer, plan in dialogues.plan_of.items()})
    torch.manual_seed(0)
    config = S2SConfig.named(
        "tiny",
        n_plans=5,
        second_layers=1,
        n_acts=len(acts.names),
        phrase_buckets=1_024,
        phrase_width=16,
        phrase_known=known,
    )
    return acts, S2SModel(config).eval()


def test_fitting_teaches_the_phrasings_and_tells_each_groups_share(corpus: Corpus, dialogues: Dialogues) -> None:
    acts, model = acts_and_model(corpus, dialogues, 40)
    # An untrained encoder mishears everything: what is written is learned as it is.
    config = ChoiceConfig(heard=8, others=2, misheard=0.0, variants=2, epochs=3, batch=32)
    sentences = ["రాముడు అడవికి వెళ్ళెను", "నది ఒడ్డున చెట్టు ఉన్నది"]
    told = fit_choice(model, dialogues, corpus, sentences, config, lambda items, _title: items, strangers=sentences)
    assert {"validation_voices", "validation_out_of_domain", "validation_followups", "encoder_phone_error"} <= set(told)
    assert model.phrases is not None
    said = [(question_phones(text), act) for text, act in phrasings(corpus, acts, "train")]
    logits = model.phrases.read([[(phones, 1.0)] for phones, _ in said])
    right = logits.argmax(dim=1) == torch.tensor([act for _, act in said])
    assert right.float().mean() > 0.9


def test_no_pass_leaves_the_n_grams_and_knows_the_phrasings_of_today(corpus: Corpus, dialogues: Dialogues) -> None:
    _, model = acts_and_model(corpus, dialogues, 40)
    assert model.phrases is not None
    model.phrases.remember_phrasings([([1, 2, 3], 0)])
    grams, rarity = model.phrases.grams.weight.clone(), model.phrases.rarity.clone()
    fit_choice(model, dialogues, corpus, [], ChoiceConfig(epochs=0), lambda items, _title: items)
    assert torch.equal(model.phrases.grams.weight, grams)
    assert torch.equal(model.phrases.rarity, rarity)
    first = question_phones(next(iter(corpus.intents.values())).ask.train[0])
    row = model.phrases.known[0]
    assert row[row != NO_PHONE].tolist() == first
    assert int((model.phrases.known_act >= 0).sum()) == 40


def test_fits_that_begin_at_random_are_not_averaged(tmp_path: Path) -> None:
    given = ["--pairs", str(tmp_path), "--weights", str(tmp_path / "w"), "--out", str(tmp_path / "o"), "--fits", "2"]
    said = CliRunner().invoke(app, ["choice", *given], env={"COLUMNS": "300"})
    assert said.exit_code == 2
    assert "add --go-on" in " ".join(said.output.split())
