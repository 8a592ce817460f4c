"""`python -m ml s2s`: a run's weights as they ship, and another model's answers to the run's questions."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from typer.testing import CliRunner

from ml.cli.s2s import app
from ml.codec import CodecConfig, TeluCodec, export_codec
from ml.codec.checkpoint import load_codec, sha256_of
from ml.data.pairs import PairSet
from ml.s2s.checkpoint import export_s2s, load_s2s
from ml.s2s.train.config import RECIPES
from ml.s2s.train.data import Dialogues, model_config
from ml.s2s.train.report import write_answers
from ml.s2s.train.trainer import S2STrainer
from ml.train.codec import Stop

from .conftest import random_model
from .toy_pairs import toy_pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps of training on toy pairs, with samples; beside it the codec's weights."""
    folder = tmp_path_factory.mktemp("s2s")
    torch.manual_seed(0)
    codec = TeluCodec(dataclasses.replace(CodecConfig.named("tiny-dialogue"), codebook_size=1024, code_dim=64))
    export_codec(codec, folder / "codec.safetensors", {}, dtype=torch.float32)
    voice = load_codec(folder / "codec.safetensors")
    pairs: Any = toy_pairs()
    dialogues = Dialogues(pairs, model_config(pairs, "tiny"))
    config = dataclasses.replace(RECIPES["tiny"], steps=2, validate_every=2)
    books = voice.quantizer.codebooks
    trainer = S2STrainer(config, folder / "run", "cpu", dialogues, books, sha256_of(folder / "codec.safetensors"))
    trainer.fit(lambda _row: None, Stop(), 60)
    write_answers(trainer, voice, 2, 2)
    (folder / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    return folder / "run"


@pytest.fixture
def call(run: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a subcommand with the toy pairs in place of a folder of them."""
    monkeypatch.setattr(PairSet, "load", lambda *_args: toy_pairs())
    codec = str(run.parent / "codec.safetensors")

    def invoke(*arguments: str) -> Any:
        words = [*arguments, "--pairs", str(run.parent), "--codec", codec]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


def test_a_run_is_exported_and_answers_its_own_questions(call: Any, run: Path, tmp_path: Path) -> None:
    done = call(
        *["export", str(run), "--weights", str(tmp_path), "--version", "v7", "--hardware", "a desk"],
        *["--data", "toys (CC0)"],
    )
    assert done.exit_code == 0, done.output
    weights = tmp_path / "s2s-tiny.safetensors"
    assert load_s2s(weights).config.preset == "tiny"
    card = json.loads(weights.with_suffix(".json").read_text())
    assert (card["version"], card["kind"], card["sha256"]) == ("v7", "s2s", sha256_of(weights))
    assert card["training"] == {"hardware": "a desk", "data": ["toys (CC0)"]}
    assert card["plans"]

    target = run / "samples" / "version-0123456789ab"
    done = call("samples", str(run), str(target), "--weights", str(weights))
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in target.glob("*.flac"))
    assert names == sorted(path.name for path in (run / "samples" / "target").glob("*.flac")) == ["0.flac", "1.flac"]
    assert all(soundfile.info(str(target / name)).samplerate == 16_000 for name in names)


def test_a_model_of_another_codec_does_not_pretend_to_answer(call: Any, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another codec"):
        call("samples", str(run), str(tmp_path / "x"), "--weights", "ml/weights/s2s-cpu.safetensors")
    assert not (tmp_path / "x").exists()


def test_a_folder_without_a_run_says_so(call: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nothing to export yet"):
        call("export", str(tmp_path), *["--weights", "w", "--version", "v", "--hardware", "h", "--data", "d"])


def test_an_emotion_is_moved_from_neutral_and_the_card_says_so(tmp_path: Path) -> None:
    model = random_model(n_plans=0, score_length=0)
    path = tmp_path / "s2s-tiny.safetensors"
    export_s2s(model, path, {}, torch.float32)

    def strengthen(what: str) -> Any:
        words = ["strengthen", "--weights", str(path), "--out", str(path), "--emotion", what]
        return CliRunner().invoke(app, words, env={"COLUMNS": "300"})

    assert strengthen("telugu_heavy=1.5").exit_code == 0
    before, after = model.style.emotion, load_s2s(path).style.emotion
    heavy = model.config.emotions.index("telugu_heavy")
    assert torch.allclose(after[heavy] - after[0], 1.5 * (before[heavy] - before[0]), atol=1e-2)
    others = [row for row in range(len(before)) if row != heavy]
    assert torch.allclose(after[others], before[others], atol=1e-2)
    assert json.loads(path.with_suffix(".json").read_text())["strengthened"] == {"telugu_heavy": 1.5}
    for wrong in ("neutral=1.2", "telugu_heavy=9", "telugu_heavy"):
        refused = strengthen(wrong)
        assert refused.exit_code == 2
        assert "telugu_heavy" in refused.output
