"""Quantised vectors sum as the table's do, ship small, and weights of before them still load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ml.s2s import export_s2s, load_s2s
from ml.s2s.acts import ActReader
from ml.s2s.model import S2SModel
from ml.s2s.quantised import PART, QuantisedBag, quantised
from ml.shipped import write_shipped

from .conftest import random_model

BUCKETS = 512


@pytest.fixture
def reading() -> S2SModel:
    return random_model(phrase_buckets=BUCKETS, n_acts=4, phrase_width=32)


def reader_of(model: S2SModel) -> ActReader:
    assert model.phrases is not None
    return model.phrases


def vectors_of(model: S2SModel) -> torch.Tensor:
    grams = reader_of(model).grams
    assert isinstance(grams, nn.EmbeddingBag)
    return grams.weight


def test_bags_sum_as_an_embedding_bag_of_the_same_vectors() -> None:
    torch.manual_seed(0)
    bag = quantised(torch.randn(300, 24), torch.ones(300, dtype=torch.bool))
    plain = nn.EmbeddingBag.from_pretrained(bag.vectors(torch.arange(300)), mode="sum")
    flat, offsets = torch.tensor([5, 5, 299, 0, 7]), torch.tensor([0, 2, 2, 5])  # the second and the last are empty
    weights = torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0])
    assert torch.allclose(bag(flat, offsets, weights), plain(flat, offsets, weights), atol=1e-6)


def test_what_repeats_is_kept_exactly_and_noise_mostly() -> None:
    torch.manual_seed(0)
    rows, all_used = torch.arange(2_000), torch.ones(2_000, dtype=torch.bool)
    few = torch.randn(100, 16)[torch.randint(100, (2_000,))]
    assert torch.allclose(quantised(few, all_used).vectors(rows), few, atol=1e-5)
    noise = torch.randn(2_000, 16)
    lost = noise - quantised(noise, all_used).vectors(rows)
    assert lost.square().mean() < 0.12 * noise.square().mean()  # at two bits a value


def test_only_used_rows_make_centroids() -> None:
    table = torch.cat([torch.full((10, PART), 2.0), torch.randn(500, PART) * 100])
    used = torch.arange(510) < 10
    assert torch.equal(quantised(table, used).vectors(torch.arange(10)), table[:10])
    none = quantised(table, torch.zeros(510, dtype=torch.bool))
    assert none.codes.flatten().bincount().count_nonzero() > 100, "where none is used, all count"


def test_width_must_be_cut_evenly() -> None:
    with pytest.raises(ValueError, match="give a multiple"):
        QuantisedBag(10, PART + 1)


def test_a_quantised_reader_ships_and_reads_alike(reading: S2SModel, tmp_path: Path) -> None:
    reader = reader_of(reading)
    reader.grams = quantised(vectors_of(reading), torch.ones(BUCKETS, dtype=torch.bool))
    export_s2s(reading, tmp_path / "a.safetensors", {})
    loaded = load_s2s(tmp_path / "a.safetensors")
    assert loaded.config.phrase_quantised
    flat, counts = torch.arange(100), torch.tensor([60, 40])
    before, after = (reader_of(m).logits_of(flat, counts).detach() for m in (reading, loaded))
    assert torch.allclose(before, after, atol=0.01 * before.std().item())
    assert load_file(tmp_path / "a.safetensors")["phrases.grams.codes"].dtype == torch.uint8
    # Weights that go on from there keep their bytes, and are counted as before.
    export_s2s(loaded, tmp_path / "b.safetensors", {})
    cards = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("a", "b")]
    assert cards[0]["parameters"] == cards[1]["parameters"]
    assert torch.equal(after, reader_of(load_s2s(tmp_path / "b.safetensors")).logits_of(flat, counts))


def test_a_table_ships_as_a_table(reading: S2SModel, tmp_path: Path) -> None:
    export_s2s(reading, tmp_path / "a.safetensors", {})
    loaded = load_s2s(tmp_path / "a.safetensors")
    assert not loaded.config.phrase_quantised
    assert torch.allclose(vectors_of(reading), vectors_of(loaded), atol=1e-4)


def test_weights_of_before_have_a_scale_and_load(reading: S2SModel, tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    export_s2s(reading, path, {}, torch.float32)
    card = json.loads(path.with_suffix(".json").read_text())
    del card["config"]["phrase_quantised"]
    tensors = load_file(path)
    grams = tensors["phrases.grams.weight"]
    tensors["phrases.grams.scale"] = scale = grams.abs().amax(dim=1, keepdim=True) / 127.0
    tensors["phrases.grams.weight"] = (grams / scale).round().to(torch.int8)
    write_shipped(path, tensors, card)
    assert torch.allclose(vectors_of(load_s2s(path)), grams, atol=float(scale.max()))
