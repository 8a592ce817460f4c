"""Training: it learns, it resumes exactly, it refuses to mix runs."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ml.audio.io import write_audio
from ml.codec.checkpoint import export_codec
from ml.codec.discriminators import DiscriminatorConfig
from ml.train.checkpoints import ResumeError, latest_checkpoint
from ml.train.codec import CodecTrainer, Stop, learning_rate
from ml.train.config import RECIPES, LossWeights
from ml.train.data import ClipBank, find_audio, speaker_of, split_of

SMALL = dataclasses.replace(RECIPES["tiny"].codec, codebook_size=64)  # k-means of larger ones takes most of a test
TINY = dataclasses.replace(RECIPES["tiny"], codec=SMALL, steps=12, quantize_from=4, validate_every=6)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> ClipBank:
    folder = tmp_path_factory.mktemp("clips")
    time = np.arange(16_000) / 16_000
    for i in range(4):
        pitch = 110 * 2 ** (i / 4) * (1 + 0.02 * np.sin(2 * np.pi * 3 * time))
        wave = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / 16_000) / k for k in range(1, 9))
        write_audio(folder / f"{i}.wav", (0.1 * wave * np.sin(np.pi * time)).astype(np.float32))
    return ClipBank.load(find_audio([folder]))


def run(trainer: CodecTrainer, bank: ClipBank, until: int | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    stop = Stop()

    def report(row: dict[str, Any]) -> None:
        rows.append(row)
        stop.asked = row["step"] == until

    trainer.fit(bank, bank, report, stop, max_minutes=60)
    return rows


def test_a_resumed_run_repeats_the_unbroken_one(bank: ClipBank, tmp_path: Path) -> None:
    unbroken = run(CodecTrainer(TINY, tmp_path / "a", "cpu"), bank)
    first = run(CodecTrainer(TINY, tmp_path / "b", "cpu"), bank, until=7)
    again = CodecTrainer(TINY, tmp_path / "b", "cpu")
    assert again.resume()
    rest = run(again, bank)
    assert [r["step"] for r in first + rest] == [r["step"] for r in unbroken]
    assert [r["loss"] for r in first + rest] == [r["loss"] for r in unbroken]
    assert rest[-1]["snr_db_8"] == unbroken[-1]["snr_db_8"]


def test_a_resumed_run_moves_dead_codes_to_where_the_unbroken_one_does(bank: ClipBank, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, codec=dataclasses.replace(SMALL, revival=0.9))
    unbroken = CodecTrainer(config, tmp_path / "a", "cpu")
    run(unbroken, bank)
    run(CodecTrainer(config, tmp_path / "b", "cpu"), bank, until=7)
    torch.rand(3)  # another process has another state of the global generator
    again = CodecTrainer(config, tmp_path / "b", "cpu")
    assert again.resume()
    run(again, bank)
    for name, value in unbroken.codec.state_dict().items():
        assert torch.equal(again.codec.state_dict()[name], value), name


def test_an_adversarial_run_resumes_exactly_too(bank: ClipBank, tmp_path: Path) -> None:
    config = dataclasses.replace(
        TINY,
        steps=6,
        quantize_from=1,
        adversarial_from=2,
        loss=LossWeights(snr=1.0, mel=0.1, adversarial=1.0, feature=2.0),
        discriminators=DiscriminatorConfig(periods=(2, 3), n_ffts=(512,), period_width=4, stft_width=4),
    )
    unbroken = run(CodecTrainer(config, tmp_path / "a", "cpu"), bank)
    first = run(CodecTrainer(config, tmp_path / "b", "cpu"), bank, until=4)
    again = CodecTrainer(config, tmp_path / "b", "cpu")
    again.resume()
    rest = run(again, bank)
    assert "feature" not in unbroken[1]
    assert unbroken[3]["discriminator"] > 0
    assert [r["loss"] for r in first + rest] == [r["loss"] for r in unbroken]


def test_it_learns(bank: ClipBank, tmp_path: Path) -> None:
    config = dataclasses.replace(RECIPES["tiny"], codec=SMALL, steps=80, validate_every=40)
    trainer = CodecTrainer(config, tmp_path, "cpu")
    untrained = trainer.validate(bank)["snr_db_8"]
    rows = run(trainer, bank)
    assert rows[-1]["snr_db_8"] > untrained + 1.0
    assert (tmp_path / "best.safetensors").exists()
    assert json.loads((tmp_path / "best.json").read_text())["step"] in (40, 80)


def test_it_goes_on_from_shipped_weights(bank: ClipBank, tmp_path: Path) -> None:
    before = CodecTrainer(TINY, tmp_path / "before", "cpu")
    run(before, bank)
    shipped = tmp_path / "codec.safetensors"
    export_codec(before.averaged(), shipped, {"name": "tiny"}, torch.float32)
    after = CodecTrainer(dataclasses.replace(TINY, init=str(shipped)), tmp_path / "after", "cpu")
    assert after.validate(bank)["snr_db_8"] == pytest.approx(before.validate(bank)["snr_db_8"], abs=0.01)
    books = after.codec.quantizer.codebooks.clone()
    after.train_step(bank)
    moved = (after.codec.quantizer.codebooks - books).norm() / books.norm()
    assert 0 < moved < 0.5, "the codebooks go on; they do not start anew"


def test_a_codebook_of_levels_is_taught_to_a_codec_that_has_none(bank: ClipBank, tmp_path: Path) -> None:
    plain = dataclasses.replace(TINY, codec=dataclasses.replace(SMALL, level_bands=0))
    run(CodecTrainer(plain, tmp_path / "plain", "cpu"), bank)
    config = dataclasses.replace(
        TINY,
        init=str(tmp_path / "plain" / "best.safetensors"),
        levels_only=True,
        steps=30,
        quantize_from=20,
        loss=LossWeights(snr=0.0, mel=0.0, energy=1.0),
    )
    trainer = CodecTrainer(config, tmp_path / "levels", "cpu")
    before = {name: value.clone() for name, value in trainer.codec.state_dict().items()}
    rows = run(trainer, bank)
    assert "level_commitment" not in rows[0]
    assert "level_commitment" in rows[-1], "their codebook has not started"
    assert rows[-1]["energy"] < 0.9 * rows[0]["energy"]
    moved = {n for n, value in trainer.codec.state_dict().items() if not torch.equal(value, before[n])}
    assert moved
    assert all(name.startswith("levels.") for name in moved), "more than the levels was trained"


def test_another_configuration_is_not_mixed_in(bank: ClipBank, tmp_path: Path) -> None:
    run(CodecTrainer(TINY, tmp_path, "cpu"), bank, until=2)
    with pytest.raises(ResumeError, match="another configuration"):
        CodecTrainer(dataclasses.replace(TINY, batch=3), tmp_path, "cpu").resume()


def test_only_the_newest_checkpoints_stay_and_damage_is_named(bank: ClipBank, tmp_path: Path) -> None:
    trainer = CodecTrainer(TINY, tmp_path, "cpu")
    for step in (1, 2, 3):
        trainer.step = step
        trainer.save()
    kept = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000002", "step-00000003"]
    weights = tmp_path / "checkpoints" / "step-00000003" / "state.safetensors"
    written = weights.read_bytes()
    weights.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))  # readable, and not what was written
    with pytest.raises(ResumeError, match=r"step-00000003 is damaged \(its sha256"):
        latest_checkpoint(tmp_path / "checkpoints")
    weights.write_bytes(b"x")
    with pytest.raises(ResumeError, match="step-00000003 is damaged"):
        latest_checkpoint(tmp_path / "checkpoints")


def test_several_processes_of_a_run_may_fill_the_cache_at_once(
    bank: ClipBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(tmp_path / "a.wav", bank.samples[:8_000].astype(np.float32) / 32768)
    real, cache = np.savez, tmp_path / "cache"
    meanwhile: list[ClipBank] = []

    def saved_while_another_does(file: Path, **arrays: np.ndarray[Any, Any]) -> None:
        real(file, **arrays)
        if not meanwhile:
            meanwhile.append(bank)
            meanwhile[0] = ClipBank.load([tmp_path / "a.wav"], cache)  # begins and ends between write and rename

    monkeypatch.setattr(np, "savez", saved_while_another_does)
    mine = ClipBank.load([tmp_path / "a.wav"], cache)
    assert np.array_equal(mine.samples, meanwhile[0].samples)
    assert len(list(cache.iterdir())) == 1
    assert np.array_equal(ClipBank.load([tmp_path / "a.wav"], cache).samples, mine.samples)


def test_batches_depend_on_seed_and_step_alone(bank: ClipBank) -> None:
    assert np.array_equal(bank.batch(3, 800, 1, 5).audio, bank.batch(3, 800, 1, 5).audio)
    assert not np.array_equal(bank.batch(3, 800, 1, 5).audio, bank.batch(3, 800, 1, 6).audio)
    assert np.abs(bank.batch(8, 4_000, 1, 5).audio).max() <= 1.01


def test_learning_rate_warms_up_and_falls() -> None:
    config = RECIPES["hifi"]
    rates = [learning_rate(config, s) for s in (0, config.warmup_steps, config.steps // 2, config.steps)]
    assert rates[0] < rates[1] == config.learning_rate > rates[2] > rates[3] == config.final_learning_rate


def test_splits_keep_a_speaker_together() -> None:
    assert speaker_of(Path("librispeech/103-1240-0000.flac")) == "librispeech/103"
    assert speaker_of(Path("so/000240071.flac")) == "so/00024"
    assert split_of(Path("l/103-1240-0000.flac")) == split_of(Path("l/103-9999-0001.flac"))
