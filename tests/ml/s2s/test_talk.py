"""A turn from file to file, whatever the file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ml.audio.io import read_audio, write_audio
from ml.cli.bench import app as bench
from ml.cli.talk import app
from ml.codec import CheckpointError, CodecConfig, TeluCodec, export_codec
from ml.s2s import Conditions, S2SConfig, S2SModel, export_s2s
from ml.s2s.choices import blend_of
from ml.s2s.talk import talk


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small codec and a small model, untrained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    codec = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    model = S2SModel(S2SConfig.named("tiny", code_dim=codec.config.code_dim, n_plans=3, score_length=8))
    model.set_scores([[0, 5, 6, 0], [0, 7, 8, 9, 0], [0, 3, 0]])
    model.use_codebooks(codec.quantizer.codebooks)
    export_codec(codec, folder / "codec-dialogue.safetensors", {})
    export_s2s(model, folder / "s2s-tiny.safetensors", {"plans": ["a", "b", "c"]})
    return folder


def ask(weights: Path, *arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--weights", str(weights), "--preset", "tiny", "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("samples", [0, 1, 800, 32_000])
def test_any_length_is_answered(weights: Path, tmp_path: Path, samples: int) -> None:
    question, answer = tmp_path / "q.wav", tmp_path / "a.wav"
    write_audio(question, np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1)
    result = ask(weights, str(question), str(answer), "--speaker", "priya=0.5,ravi=0.5", "--emotion", "laugh")
    assert result["answer"] in ("a", "b", "c")
    assert 0 < len(read_audio(answer)) / 16_000 == pytest.approx(result["duration_s"], abs=0.01)
    assert {"first_audio_ms", "rtf", "phonemes", "caption"} <= result.keys()


def test_seed_and_context_decide(weights: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.wav" for i in range(4)]
    for i, path in enumerate(files):
        write_audio(path, np.random.default_rng(i).standard_normal(16_000).astype(np.float32) * 0.1)
    asked, out = str(files[0]), tmp_path / "out.wav"
    heard = []
    for more in ([], [], ["--seed", "5"], ["--context", str(files[1]), str(files[2])]):
        ask(weights, asked, str(out), *more)
        heard.append(read_audio(out))
    assert np.array_equal(heard[0], heard[1])
    assert not any(np.array_equal(heard[0], other) for other in heard[2:])


def test_mistakes_say_what_to_do(weights: Path, tmp_path: Path) -> None:
    config = S2SConfig.named("tiny")
    for text in ("nobody", "priya=much", "priya=0", "priya=-1,ravi=2"):
        with pytest.raises(ValueError, match="speaker"):
            blend_of(config, text)
    torch.manual_seed(5)
    other = TeluCodec(CodecConfig.named("tiny-dialogue")).fold()
    model = S2SModel(S2SConfig.named("tiny", code_dim=other.config.code_dim))
    with pytest.raises(CheckpointError, match="their codebooks differ"):
        talk(other, model, np.zeros(640, np.float32), Conditions.one(0))
    model.use_codebooks(other.quantizer.codebooks)
    with pytest.raises(ValueError, match="NaN"):
        talk(other, model.eval(), np.full(640, np.nan, np.float32), Conditions.one(0))


def test_bench_prints_its_figures(weights: Path) -> None:
    arguments = ["s2s", "--weights", str(weights), "--preset", "tiny", "--rows", "1,2", "--rounds", "1"]
    result = CliRunner().invoke(bench, [*arguments, "--question", "0.4", "--answer", "0.4", "--no-reference", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["weights"] == "shipped"
    assert [row["rows"] for row in found["rows"]] == [1, 2]
    assert all(row["rtf"] > 0 and row["first_token_ms_p95"] > 0 for row in found["rows"])
