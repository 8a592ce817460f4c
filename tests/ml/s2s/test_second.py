"""The second reading: a row reads as it would alone, the live path chooses by it, it is trained and shipped."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ml.codec.config import ConfigError
from ml.s2s import Conditions, S2SConfig, S2SConfigError, S2SModel, export_s2s, load_s2s
from ml.s2s.phone_lm import sure
from ml.s2s.train.data import Dialogues, model_config
from ml.s2s.train.ear import EarTrainer
from ml.s2s.train.second import SecondConfig, SecondTrainer, with_second
from ml.train.checkpoints import ResumeError

from .conftest import random_model
from .toy_pairs import losses_of, toy_pairs

FAST = SecondConfig(
    steps=30, batch_frames=300, learning_rate=3e-3, warmup_steps=3, validate_every=15, autocast=False, average_decay=0.8
)


@pytest.fixture(scope="module")
def reading() -> S2SModel:
    return random_model(phrase_buckets=512, n_acts=4, second_layers=1, second_passes=2)


def trainer_of(run: Path, kind: type[SecondTrainer] = SecondTrainer, **changes: Any) -> SecondTrainer:
    pairs: Any = toy_pairs()
    dialogues = Dialogues(pairs, model_config(pairs, "tiny"))
    torch.manual_seed(1)
    listener = S2SModel(dialogues.model)
    return kind(dataclasses.replace(FAST, **changes), run, "cpu", dialogues, listener)


def test_padding_has_no_part_in_it(reading: S2SModel) -> None:
    assert reading.second is not None
    generator = torch.Generator().manual_seed(4)
    vectors = torch.randn(2, 14, 32, generator=generator)
    there = torch.arange(14) < torch.tensor([[14], [9]])
    both = reading.second(vectors, there)
    alone = reading.second(vectors[1:, :9], there[1:, :9])
    for a, b in zip(both, alone, strict=True):
        assert torch.allclose(a[1:, :18], b, atol=1e-5)
    assert [len(logits[0]) for logits in both] == [28, 28]
    together = reading.heard_again(vectors, there)[1]
    single = reading.heard_again(vectors[1:, :9], there[1:, :9])[0]
    assert [phones for phones, _ in together] == [phones for phones, _ in single]
    assert [share for _, share in together] == pytest.approx([share for _, share in single], abs=1e-4)


def test_it_sees_what_comes_after(reading: S2SModel) -> None:
    assert reading.second is not None
    vectors, there = torch.randn(1, 10, 32), torch.ones(1, 10, dtype=torch.bool)
    other = vectors.clone()
    other[:, 9] += 1.0
    assert not torch.allclose(reading.second(vectors, there)[-1][:, :2], reading.second(other, there)[-1][:, :2])


def test_the_live_path_chooses_by_the_second_reading(reading: S2SModel) -> None:
    question = torch.randint(0, 1024, (1, 8, 11), generator=torch.Generator().manual_seed(2))
    vectors, _ = reading.encoder(reading.books, question, torch.tensor([11]))
    assert reading.second is not None
    assert reading.phrases is not None
    expected = reading.heard_again(vectors, torch.ones(1, 11, dtype=torch.bool))
    heard: list[Any] = []
    hook = reading.phrases.register_forward_pre_hook(lambda _module, inputs: heard.append(inputs[0]))
    try:
        state = reading.streaming_state(1)
        reading.listen(question[:, :, :6], state, [0])
        reading.begin(state, [0], Conditions.one(1), [1])
        state.rewind([0])
        reading.listen(question[:, :, 6:], state, [0])
        reading.begin(state, [0], Conditions.one(1), [1])
    finally:
        hook.remove()
    assert len(heard) == 2
    assert [phones for phones, _ in heard[1][0]] == [phones for phones, _ in expected[0]]


def test_a_question_read_ahead_is_read_once_and_void_when_it_goes_on(reading: S2SModel) -> None:
    question = torch.randint(0, 1024, (1, 8, 11), generator=torch.Generator().manual_seed(2))
    assert reading.second is not None

    def answer(ahead: tuple[int, ...]) -> tuple[torch.Tensor, int]:
        """Codes, and how often the question was read; `ahead` says after which pieces it is read as if it were over."""
        times: list[Any] = []
        hook = reading.second.register_forward_hook(lambda *_: times.append(1))  # type: ignore[union-attr]
        try:
            state = reading.streaming_state(2)
            for number, piece in enumerate((question[:, :, :6], question[:, :, 6:])):
                reading.listen(piece, state, [1])
                if number in ahead:
                    reading.read_next(state, 1)
                    assert not reading.has_read(state, 1)
                    reading.read_next(state, 1)
                    assert reading.has_read(state, 1)
                    reading.read_next(state, 1)  # there is no third
                    reading.read_whole(state, [1])
            reading.begin(state, [1], Conditions.one(1), [1])
            state.rewind([1])
            reading.begin(state, [1], Conditions.one(1), [1])
        finally:
            hook.remove()
        codes = torch.cat([reading.step(state, [1])[0] for _ in range(4)])
        state.clear([1])
        assert not reading.has_read(state, 1)
        return codes, len(times)

    expected, once = answer(())
    assert once == 1
    for ahead, times in (((1,), 1), ((0,), 2), ((0, 1), 2)):
        codes, read = answer(ahead)
        assert torch.equal(codes, expected)
        assert read == times


def test_nothing_said_is_nothing_heard(reading: S2SModel) -> None:
    state = reading.streaming_state(2)
    reading.begin(state, [0, 1], Conditions.cat([Conditions.one(1), Conditions.one(2)]), [1, 2])
    assert reading.heard_again(torch.zeros(2, 0, 32), torch.zeros(2, 0, dtype=torch.bool)) == [sure([]), sure([])]


def test_a_phone_in_seconds_of_sound_is_no_word(reading: S2SModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnePhone(torch.nn.Module):
        def forward(self, vectors: torch.Tensor, _there: torch.Tensor) -> list[torch.Tensor]:
            logits = torch.full((len(vectors), 2 * vectors.shape[1], reading.config.n_phones + 1), -9.0)
            logits[:, :, -1] = 9.0
            logits[:, 6:9, 3], logits[:, 6:9, -1] = 9.0, -9.0
            return [logits]

    monkeypatch.setattr(reading, "second", OnePhone())
    vectors, there = torch.zeros(2, 100, 32), torch.arange(100) < torch.tensor([[100], [20]])
    music, word = reading.heard_again(vectors, there)
    assert list(music) == sure([])
    assert word[0][0] == [3]


def test_it_learns_and_a_resumed_run_repeats_the_unbroken_one(tmp_path: Path) -> None:
    whole = trainer_of(tmp_path / "whole")
    before = whole.measure(whole.averaged())[0]["phone_error"]
    losses = losses_of(whole)
    assert whole.measure(whole.averaged())[0]["phone_error"] < before
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    first = losses_of(trainer_of(tmp_path / "cut"), until=12)
    second = trainer_of(tmp_path / "cut")
    assert second.resume()
    assert first + losses_of(second) == losses


def test_it_goes_on_from_a_whole_model_and_from_a_run(tmp_path: Path) -> None:
    first = trainer_of(tmp_path / "first", steps=3)
    losses_of(first)
    first.validate()
    wider = with_second(first.listener, first.config)
    assert wider.second is not None
    wider.second.load_state_dict(load_file(tmp_path / "first" / "best.safetensors"))
    export_s2s(wider, tmp_path / "whole.safetensors", {}, torch.float32)
    for number, name in enumerate(("whole.safetensors", "first/best.safetensors")):
        onward = trainer_of(tmp_path / str(number), init=str(tmp_path / name))
        assert torch.equal(onward.model.get_parameter("ctc.weight"), wider.second.ctc.weight)
    for wrong in ("missing.safetensors", "first/config.json"):
        with pytest.raises(ConfigError, match="cannot be read"):
            trainer_of(tmp_path / "wrong", init=str(tmp_path / wrong))


def test_the_encoder_learns_too_from_where_it_is(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "ear", EarTrainer, encoder=True)
    listened = {f"encoder.{k}": v.clone() for k, v in trainer.listener.encoder.state_dict().items()}
    began = trainer.model.state_dict()
    assert all(torch.equal(v, began[k]) for k, v in listened.items())
    before = trainer.measure(trainer.averaged())[0]
    losses = losses_of(trainer)
    after = trainer.measure(trainer.averaged())[0]
    assert after["phone_error"] < before["phone_error"]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert not torch.equal(trainer.model.get_parameter("encoder.enter.weight"), listened["encoder.enter.weight"])
    assert all(torch.equal(v, trainer.listener.state_dict()[k]) for k, v in listened.items())
    trainer.validate()
    wider = with_second(trainer.listener, trainer.config)
    whole = wider.load_state_dict(load_file(tmp_path / "ear" / "best.safetensors"), strict=False)
    assert not whole.unexpected_keys
    assert {name.partition(".")[0] for name in whole.missing_keys}.isdisjoint({"encoder", "second"})


def test_a_run_with_the_encoder_is_not_gone_on_with_without_it(tmp_path: Path) -> None:
    trainer_of(tmp_path, EarTrainer, encoder=True).save()
    with pytest.raises(ResumeError, match="another configuration"):
        trainer_of(tmp_path).resume()


def test_shipped_weights_read_a_second_time_and_are_smaller(tmp_path: Path) -> None:
    listener = random_model(phrase_buckets=2_048, n_acts=4)
    wider = with_second(listener, SecondConfig(layers=1, passes=2)).eval()
    assert wider.second is not None
    export_s2s(listener, tmp_path / "whole.safetensors", {}, torch.float32)
    export_s2s(wider, tmp_path / "s2s.safetensors", {})
    loaded = load_s2s(tmp_path / "s2s.safetensors")
    assert loaded.config == wider.config
    assert loaded.plan_head is None
    assert listener.plan_head is not None
    vectors, there = torch.randn(1, 10, 32), torch.ones(1, 10, dtype=torch.bool)
    assert loaded.second is not None
    assert loaded.phrases is not None
    assert wider.phrases is not None
    assert torch.allclose(loaded.second(vectors, there)[-1], wider.second(vectors, there)[-1], atol=0.05)
    grams = wider.phrases.grams.weight
    assert (loaded.phrases.grams.weight - grams).abs().max() <= 0.01 * grams.abs().max()
    export_s2s(loaded, tmp_path / "again.safetensors", {})
    assert torch.equal(load_s2s(tmp_path / "again.safetensors").phrases.grams.weight, loaded.phrases.grams.weight)  # type: ignore[union-attr]


def test_shapes_that_cannot_work_are_refused() -> None:
    with pytest.raises(S2SConfigError, match="odd number"):
        S2SConfig.named("tiny", second_layers=1, conv_taps=4)
    with pytest.raises(S2SConfigError, match="at least 1"):
        S2SConfig.named("tiny", second_layers=1, second_passes=0)


def test_a_question_most_of_which_is_gone_is_none() -> None:
    reading = random_model(phrase_buckets=512, n_acts=4, second_layers=1, second_passes=2)
    kept = reading.config.question_frames
    codes = torch.randint(0, 1024, (1, 8, 2 * kept + 1), generator=torch.Generator().manual_seed(3))

    def heard(frames: int) -> object:
        state = reading.streaming_state(1)
        for start in range(0, frames, kept):
            reading.listen(codes[:, :, start : min(frames, start + kept)], state, [0])
        reading.read_whole(state, [0])
        whole = state.rows[0].whole
        assert whole is not None
        return whole.readings

    assert heard(2 * kept) != sure([]), "long, but half of it is known"
    assert heard(2 * kept + 1) == sure([])
