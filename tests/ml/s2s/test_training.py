"""Training of the S2S model: it learns to choose, resumes exactly, hides what it should, refuses what cannot be."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ml.codec.config import ConfigError
from ml.s2s import UNKNOWN
from ml.s2s.acts import collapsed, ngrams
from ml.s2s.model import S2SModel
from ml.s2s.train.choice import heard_phones
from ml.s2s.train.config import RECIPES, S2STrainConfig
from ml.s2s.train.data import Dialogues, Sampler, model_config, shared_out
from ml.s2s.train.losses import first_targets
from ml.s2s.train.trainer import S2STrainer
from ml.train.buckets import Buckets
from ml.train.checkpoints import ResumeError

from .toy_pairs import losses_of, toy_pairs

TINY = RECIPES["tiny"]
CODEBOOKS = torch.randn(8, 1024, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def dialogues() -> Dialogues:
    pairs: Any = toy_pairs()
    return Dialogues(pairs, model_config(pairs, "tiny"))


def trainer_of(dialogues: Dialogues, run: Path, **changes: Any) -> S2STrainer:
    config = dataclasses.replace(TINY, **changes)
    return S2STrainer(config, run, "cpu", dialogues, CODEBOOKS, "0" * 64)


def test_it_learns_to_choose_and_to_say(dialogues: Dialogues, tmp_path: Path) -> None:
    shares = {"share_lm": 0.0, "share_style": 0.0}
    trainer = trainer_of(dialogues, tmp_path, steps=90, validate_every=90, **shares)
    before = trainer.measure(trainer.averaged())[0]
    losses_of(trainer)
    after = trainer.measure(trainer.averaged())[0]
    assert after["phones"] > max(0.6, before["phones"])
    assert after["plan"] > before["plan"]
    assert after["loss_first"] < before["loss_first"] - 2.0
    assert (tmp_path / "best.safetensors").exists()


def test_a_resumed_run_repeats_the_unbroken_one(dialogues: Dialogues, tmp_path: Path) -> None:
    settings = {"steps": 6, "validate_every": 100}
    unbroken = losses_of(trainer_of(dialogues, tmp_path / "a", **settings))
    first = losses_of(trainer_of(dialogues, tmp_path / "b", **settings), until=3)
    again = trainer_of(dialogues, tmp_path / "b", **settings)
    assert again.resume()
    assert again.step == 3
    assert first + losses_of(again) == unbroken


def test_a_run_may_be_lengthened_but_not_changed(dialogues: Dialogues, tmp_path: Path) -> None:
    losses_of(trainer_of(dialogues, tmp_path, steps=1, validate_every=100))
    assert trainer_of(dialogues, tmp_path, steps=5).resume()
    with pytest.raises(ResumeError, match="another configuration"):
        trainer_of(dialogues, tmp_path, ctc=0.1).resume()


def test_muon_trains_too(dialogues: Dialogues, tmp_path: Path) -> None:
    losses = losses_of(trainer_of(dialogues, tmp_path, steps=12, validate_every=100, optimizer="muon"))
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 1.0


def test_weights_of_another_stage_are_a_start(dialogues: Dialogues, tmp_path: Path) -> None:
    stage = trainer_of(dialogues, tmp_path / "a", steps=2, validate_every=2)
    losses_of(stage)
    next_stage = trainer_of(dialogues, tmp_path / "b", init=str(tmp_path / "a" / "best.safetensors"))
    assert next_stage.left_out == []
    assert torch.equal(next_stage.model.encoder.enter.weight, stage.averaged().encoder.enter.weight)  # type: ignore[union-attr]


def test_batches_depend_on_seed_and_step_alone(dialogues: Dialogues) -> None:
    a, b = Sampler(dialogues, TINY), Sampler(dialogues, TINY)
    for step in (7, 0, 40):
        (one, mine), (other, theirs) = a.batch(step), b.batch(step)
        assert torch.equal(one.question, other.question)
        assert torch.equal(one.answer, other.answer)
        assert torch.equal(mine.plans, theirs.plans)
    c = Sampler(dialogues, dataclasses.replace(TINY, seed=5))
    assert any(
        a.batch(s)[0].answer.shape != c.batch(s)[0].answer.shape
        or not torch.equal(a.batch(s)[0].answer, c.batch(s)[0].answer)
        for s in range(4)
    )


def test_every_kind_of_batch_has_its_share(dialogues: Dialogues) -> None:
    sampler = Sampler(dialogues, TINY)
    assert {kind: sampler.pattern.count(kind) for kind in set(sampler.pattern)} == {"lm": 4, "dialogue": 12, "style": 4}
    assert sorted(shared_out({"a": 1.0, "b": 2.0, "c": 0.0}, 9, 0)) == ["a"] * 3 + ["b"] * 6
    for step, kind in enumerate(sampler.pattern):
        batch, targets = sampler.batch(step)
        asked = batch.question_frames > 0
        assert bool(asked.all()) == (kind == "dialogue")
        assert bool((targets.plans.sum(1) > 0).all()) == (kind == "dialogue")
        if kind == "lm":
            assert batch.plan is not None
            assert bool((batch.plan == UNKNOWN).all())
        assert batch.rows * (batch.question.shape[2] + batch.answer.shape[2]) <= 2 * TINY.batch_frames


def test_questions_end_in_80_to_400_ms_of_silence_and_follow_ups_remember(dialogues: Dialogues) -> None:
    config = dataclasses.replace(TINY, end_silence=(1, 3))
    pair = next(p for p in dialogues.set.pairs if p.kind == "followup")
    lengths = set()
    for seed in range(30):
        row = dialogues.row_of(pair, np.random.default_rng(seed), config, ())
        assert row.question is not None
        assert len(row.past) == 1
        lengths.add(row.question.shape[1])
    assert min(lengths) >= 11
    assert max(lengths) <= 15
    assert len(lengths) >= 4


def test_what_is_hidden_in_training_is_whole_in_validation(dialogues: Dialogues) -> None:
    rng = np.random.default_rng(0)
    rows = [dialogues.row_of(p, rng, TINY, ()) for p in dialogues.set.pairs[:3]]
    batch, _ = dialogues.collate(rows, rng, TINY, training=False)
    assert (batch.question_levels, batch.question_keep, batch.unconditional) == (None, None, None)
    assert batch.depth_frames is not None
    assert len(batch.depth_frames) == int(batch.answer_frames.sum())
    hard = dataclasses.replace(TINY, hide_plan=1.0, hide_condition=1.0, fewer_levels=1.0)
    batch, targets = dialogues.collate(rows, rng, hard)
    assert batch.plan is not None
    assert bool((batch.plan == UNKNOWN).all())
    assert batch.unconditional is not None
    assert bool(batch.unconditional.all())
    assert bool((targets.plans.sum(1) > 0).all())


def test_the_end_is_a_target_and_padding_is_none(dialogues: Dialogues) -> None:
    rng = np.random.default_rng(0)
    rows = [dialogues.row_of(dialogues.set.pairs[0], rng, TINY, ())]
    batch, _ = dialogues.collate(rows, rng, TINY)
    batch.answer = torch.nn.functional.pad(batch.answer, (0, 2))
    truth = first_targets(batch, 1024)
    frames = int(batch.answer_frames[0])
    assert truth[0, frames] == 1024
    assert truth[0, frames + 1 :].tolist() == [-100, -100]
    assert truth[0, :frames].tolist() == batch.answer[0, 0, :frames].tolist()


@pytest.mark.parametrize("changes", [{"share_lm": 0.0, "share_dialogue": 0.0, "share_style": 0.0}, {"batch_frames": 1}])
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(TINY, **changes).check()


def test_configurations_survive_json() -> None:
    for config in RECIPES.values():
        config.check()
        assert S2STrainConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="unknown training settings"):
        S2STrainConfig.from_dict({"name": "x", "colour": 1})


def test_buckets_cover_every_item_once_an_epoch_within_budget() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 101)
    buckets = Buckets(lengths, 200, seed=3)
    epoch = [buckets.batch(i) for i in range(buckets.epoch_batches)]
    assert sorted(np.concatenate(epoch).tolist()) == list(range(101))
    assert all(len(b) * lengths[b].max() <= 200 for b in epoch if len(b) > 1)
    later = buckets.batch(buckets.epoch_batches + 2).tolist()
    assert Buckets(lengths, 200, seed=3).batch(buckets.epoch_batches + 2).tolist() == later


def test_what_the_encoder_hears_does_not_depend_on_who_is_beside_it(dialogues: Dialogues) -> None:
    model = S2SModel(dialogues.model).eval()
    several = heard_phones(model, dialogues, [0, 1, 2])
    assert heard_phones(model, dialogues, [1])[1] == several[1]


def test_ngrams_know_order_and_ends() -> None:
    assert ngrams([1, 2, 3], 2**40) != ngrams([3, 2, 1], 2**40)
    assert set(ngrams([1, 2], 2**40)) - set(ngrams([1, 2, 3], 2**40))
    assert collapsed([9, 1, 1, 9, 1, 2, 2, 0], 9, silent=(0,)) == [1, 1, 2]
