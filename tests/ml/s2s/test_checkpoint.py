"""Shipped weights come back as they were, fit only their card, and know the codes that they speak."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from ml.codec import CheckpointError, CodecConfig, TeluCodec
from ml.s2s import Conditions, S2SConfig, S2SModel, Sampling, export_s2s, load_s2s, load_s2s_preset
from ml.s2s.acts import Weights

from .conftest import random_model


def greedy_answer(model: S2SModel) -> torch.Tensor:
    state = model.streaming_state(1)
    model.listen(torch.arange(80).reshape(1, 8, 10), state, [0])
    model.begin(state, [0], Conditions.one(2, 1), [0], Sampling.greedy())
    return torch.stack([model.step(state, [0], Sampling.greedy())[0][0] for _ in range(6)])


def test_weights_come_back_without_the_heads_of_training(model: S2SModel, tmp_path: Path) -> None:
    path = tmp_path / "s2s-tiny.safetensors"
    export_s2s(model, path, {"version": "test"}, torch.float32)
    loaded = load_s2s_preset("tiny", tmp_path)
    assert loaded.intent_head is None
    assert loaded.config == model.config
    assert torch.equal(greedy_answer(loaded), greedy_answer(model))
    export_s2s(model, tmp_path / "half.safetensors", {})
    assert (tmp_path / "half.safetensors").stat().st_size < path.stat().st_size * 0.6


def test_model_knows_the_codes_that_it_speaks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec, other = (TeluCodec(CodecConfig.named("tiny-dialogue")).fold() for _ in range(2))
    model = S2SModel(S2SConfig.named("tiny", code_dim=codec.config.code_dim))
    model.use_codebooks(codec.quantizer.codebooks, "abc")
    export_s2s(model, tmp_path / "s2s-tiny.safetensors", {})
    loaded = load_s2s_preset("tiny", tmp_path)
    assert loaded.codec_sha256 == "abc"
    assert loaded.speaks(codec.quantizer.codebooks.half().float())
    assert not loaded.speaks(other.quantizer.codebooks)


def test_wrong_files_say_what_to_do(model: S2SModel, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights for S2S preset 'cpu'"):
        load_s2s_preset("cpu", tmp_path)
    path = tmp_path / "s2s-tiny.safetensors"
    export_s2s(model, path, {})
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, "config": {**card["config"], "decoder_width": 64}}))
    with pytest.raises(CheckpointError, match="do not fit their card"):
        load_s2s(path)
    path.with_suffix(".json").write_text(json.dumps({**card, "config": {**card["config"], "colour": "red"}}))
    with pytest.raises(CheckpointError, match="unknown S2S settings"):
        load_s2s(path)


def test_a_choice_that_was_weighed_before_there_were_as_many_weights_still_loads(tmp_path: Path) -> None:
    config = S2SConfig.named("tiny", n_plans=3, n_acts=4, phrase_buckets=64, phrase_known=2)
    path = tmp_path / "s2s-tiny.safetensors"
    model = S2SModel(config)
    assert model.phrases is not None
    model.phrases.weigh(Weights(phrasing=7.0, fallback=2.0, opening=0.0))
    whole = model.phrases.weights.clone()
    del model.phrases.weights
    model.phrases.register_buffer("weights", whole[:5])
    export_s2s(model, path, {}, torch.float32)
    loaded = load_s2s(path)
    assert loaded.phrases is not None
    assert torch.equal(loaded.phrases.weights, whole)


def test_known_phrasings_are_stored_end_to_end_and_come_back(tmp_path: Path) -> None:
    model = random_model(phrase_buckets=512, n_acts=4, phrase_known=4)
    assert model.phrases is not None
    model.phrases.remember_phrasings([([3, 4, 5], 0), ([7] * 48, 2), ([], 1)])  # one fills its row, one is empty
    for dtype in (torch.float16, torch.float32):
        export_s2s(model, tmp_path / "s2s.safetensors", {}, dtype)
        loaded = load_s2s(tmp_path / "s2s.safetensors").phrases
        assert loaded is not None
        assert torch.equal(loaded.known, model.phrases.known)
        assert torch.equal(loaded.known_act, model.phrases.known_act)
    with safe_open(str(tmp_path / "s2s.safetensors"), "pt") as file:
        assert file.get_tensor("phrases.known").shape == (51,)
