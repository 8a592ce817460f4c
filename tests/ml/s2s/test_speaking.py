"""Speaking trained on: it learns, what understands stays bit for bit, a resumed run repeats the unbroken one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ml.s2s import S2SModel, load_s2s
from ml.s2s.checkpoint import export_s2s
from ml.s2s.train.data import Dialogues, model_config
from ml.s2s.train.speaking import SPEAKING, SpeakingConfig, SpeakingTrainer, take_speaking

from .toy_pairs import losses_of, toy_pairs

FAST = SpeakingConfig(
    steps=30, batch_frames=300, learning_rate=3e-3, warmup_steps=3, validate_every=15, autocast=False, average_decay=0.8
)


def trained_model() -> S2SModel:
    pairs: Any = toy_pairs()
    shape = dataclasses.replace(
        model_config(pairs, "tiny"), phrase_buckets=512, n_acts=4, second_layers=1, second_passes=2
    )
    torch.manual_seed(1)
    model = S2SModel(shape).eval()
    model.set_scores(Dialogues(pairs, shape).scores)
    return model


def trainer_of(run: Path, model: S2SModel) -> SpeakingTrainer:
    pairs: Any = toy_pairs()
    return SpeakingTrainer(FAST, run, "cpu", Dialogues(pairs, model.config), model)


def test_it_learns_to_speak_and_understands_as_before(tmp_path: Path) -> None:
    model = trained_model()
    export_s2s(model, tmp_path / "s2s.safetensors", {})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    whole = trainer_of(tmp_path / "whole", model)
    losses = losses_of(whole)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    after = whole.averaged().state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(SPEAKING) for name in moved)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    whole.validate()
    shipped = load_s2s(tmp_path / "s2s.safetensors")
    take_speaking(shipped, load_file(tmp_path / "whole" / "best.safetensors"))
    assert torch.equal(shipped.depth.first.weight, after["depth.first.weight"])


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path: Path) -> None:
    losses = losses_of(trainer_of(tmp_path / "whole", trained_model()))
    first = losses_of(trainer_of(tmp_path / "cut", trained_model()), until=12)
    second = trainer_of(tmp_path / "cut", trained_model())
    assert second.resume()
    assert first + losses_of(second) == losses
