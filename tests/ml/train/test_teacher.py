"""Distillation of the first codebook from a tiny random WavLM or HuBERT that the test makes itself."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ml.audio.io import write_audio
from ml.codec.config import ConfigError
from ml.train.codec import CodecTrainer
from ml.train.config import RECIPES
from ml.train.data import ClipBank, find_audio
from ml.train.teacher import load_teacher

transformers = pytest.importorskip("transformers", reason="transformers is an optional package")

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> ClipBank:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(2):
        write_audio(folder / f"{i}.wav", (0.1 * rng.standard_normal(16_000)).astype(np.float32))
    return ClipBank.load(find_audio([folder]))


def saved(family: str, folder: Path) -> str:
    config = getattr(transformers, f"{family}Config")(**SIZES)
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("family", ["WavLM", "Hubert"])
def test_the_first_codebook_is_drawn_to_the_teacher(family: str, bank: ClipBank, tmp_path: Path) -> None:
    recipe = RECIPES["tiny"]
    config = dataclasses.replace(
        recipe,
        codec=dataclasses.replace(recipe.codec, codebook_size=32),
        loss=dataclasses.replace(recipe.loss, snr=0.0, mel=0.0, distill=1.0),
        teacher=saved(family, tmp_path / "teacher"),
        steps=40,
        quantize_from=2,
        learning_rate=1e-2,
    )
    trainer = CodecTrainer(config, tmp_path / "run", "cpu")
    assert trainer.teacher is not None
    before = {k: v.clone() for k, v in trainer.teacher.model.state_dict().items()}
    losses = []
    for _ in range(25):
        if trainer.step == config.quantize_from:
            trainer.start_codebooks(bank)
        losses.append(trainer.train_step(bank)["distill"])
        trainer.step += 1
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert all(bool((before[k] == v).all()) for k, v in trainer.teacher.model.state_dict().items())
    trainer.save()
    again = CodecTrainer(config, tmp_path / "run", "cpu")
    assert again.resume()
    assert again.train_step(bank)["loss"] == trainer.train_step(bank)["loss"]


def test_what_is_no_teacher_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a teacher"):
        dataclasses.replace(RECIPES["tiny"], loss=dataclasses.replace(RECIPES["tiny"].loss, distill=1.0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no teacher at"):
        load_teacher(str(tmp_path / "empty"), 16)
    transformers.EncodecConfig().save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="'encodec' model"):
        load_teacher(str(tmp_path / "other"), 16)
