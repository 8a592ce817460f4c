"""Shapes, bad input, configuration and weights of the codec."""

import json
from pathlib import Path

import pytest
import torch

from ml.codec import (
    CheckpointError,
    CodecConfig,
    CodecInputError,
    ConfigError,
    TeluCodec,
    export_codec,
    load_codec,
)
from ml.codec.layers import Snake
from ml.codec.quantizer import ResidualQuantizer


@pytest.fixture
def codec() -> TeluCodec:
    torch.manual_seed(0)
    return TeluCodec(CodecConfig.named("tiny"))


@pytest.mark.parametrize("samples", [1, 79, 80, 81, 16_001])
def test_reconstruction_has_the_length_of_the_input(codec: TeluCodec, samples: int) -> None:
    with torch.inference_mode():
        assert codec.fold().reconstruct(torch.randn(2, samples) * 0.1).shape == (2, samples)


def test_codes_are_within_the_codebook(codec: TeluCodec) -> None:
    codes = codec.fold().encode(torch.randn(1, 4_000))
    assert codes.shape == (1, 8, 50 + codec.config.delay_frames)
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < 1_024


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.full((1, 160), float("nan")), "NaN or infinite"),
        (torch.full((1, 160), float("inf")), "NaN or infinite"),
        (torch.zeros(1, 0), "samples >= 1"),
        (torch.zeros(2, 1, 160), "mono audio"),
    ],
)
def test_unusable_audio_is_refused_with_words(codec: TeluCodec, audio: torch.Tensor, message: str) -> None:
    with pytest.raises(CodecInputError, match=message):
        codec.encode(audio)


def test_codes_of_wrong_kind_are_refused(codec: TeluCodec) -> None:
    with pytest.raises(CodecInputError, match="int64"):
        codec.decode(torch.zeros(1, 8, 5))
    with pytest.raises(ValueError, match="9 levels"):
        codec.decode(torch.zeros(1, 9, 5, dtype=torch.int64))


def test_hifi_is_sixteen_kbps_at_two_hundred_frames() -> None:
    config = CodecConfig.named("hifi")
    assert (config.frame_rate, config.kbps(), config.kbps(1)) == (200.0, 16.0, 2.0)
    assert config.algorithmic_delay_ms <= 25.0  # one frame plus 20 ms


def test_config_survives_json_and_refuses_nonsense() -> None:
    config = CodecConfig.named("hifi")
    assert CodecConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ConfigError, match="hop must divide"):
        CodecConfig(preset="x", hop=81)
    with pytest.raises(ConfigError, match="unknown codec settings"):
        CodecConfig.from_dict({"preset": "x", "colour": "blue"})
    with pytest.raises(ConfigError, match="choose one of"):
        CodecConfig.named("lofi")


def test_folding_changes_nothing(codec: TeluCodec) -> None:
    audio = torch.randn(1, 1_600)
    with torch.no_grad():
        before = codec.eval()(audio, False)[0]
        assert torch.allclose(codec.fold()(audio, False)[0], before, atol=1e-6)


def test_snake_has_the_gradient_of_its_formula() -> None:
    snake = Snake(5).double()
    torch.nn.init.normal_(snake.log_alpha)
    assert torch.autograd.gradcheck(snake, (torch.randn(2, 3, 5, dtype=torch.double, requires_grad=True),))
    alpha = snake.log_alpha.exp()
    x = torch.randn(4, 5, dtype=torch.double, requires_grad=True)
    by_hand = torch.autograd.grad((x + torch.sin(alpha * x) ** 2 / alpha).sum(), snake.log_alpha)[0]
    assert torch.allclose(torch.autograd.grad(snake(x).sum(), snake.log_alpha)[0], by_hand)


def test_every_further_codebook_brings_the_code_closer() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 64, 8, decay=0.99, dropout=0.0, l2_normalize=False)
    vectors = torch.randn(4_096, 8) @ torch.randn(8, 8)
    quantizer.start(vectors)
    x = vectors[None]
    codes = quantizer.encode(x)
    errors = [float((quantizer.decode(codes, n) - x).square().mean()) for n in range(1, 5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]
    assert (torch.bincount(codes[0, 0], minlength=64) > 0).all()


def test_codebooks_follow_the_data_in_training() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(2, 32, 4, decay=0.9, dropout=0.0, l2_normalize=False)
    vectors = torch.randn(1, 2_000, 4)
    quantizer.start(vectors[0])
    moved = vectors + 3.0
    before = float((quantizer.decode(quantizer.encode(moved)) - moved).square().mean())
    quantizer.train()
    for _ in range(60):
        quantizer(moved)
    after = float((quantizer.decode(quantizer.encode(moved)) - moved).square().mean())
    assert after < 0.5 * before


class TestWeights:
    def test_round_trip(self, codec: TeluCodec, tmp_path: Path) -> None:
        path = tmp_path / "codec-tiny.safetensors"
        export_codec(codec, path, {"version": "1"}, dtype=torch.float32)
        audio = torch.randn(1, 1_600) * 0.1
        with torch.inference_mode():
            assert torch.equal(load_codec(path).reconstruct(audio), codec.reconstruct(audio))

    def test_damage_is_named(self, codec: TeluCodec, tmp_path: Path) -> None:
        path = tmp_path / "codec-tiny.safetensors"
        export_codec(codec, path, {"version": "1"})
        whole = path.read_bytes()
        path.write_bytes(whole[:-10])
        with pytest.raises(CheckpointError, match="do not match the sha256"):
            load_codec(path)
        path.unlink()
        with pytest.raises(CheckpointError, match="restore them"):
            load_codec(path)

    def test_card_is_needed_and_checked(self, codec: TeluCodec, tmp_path: Path) -> None:
        path = tmp_path / "codec-tiny.safetensors"
        export_codec(codec, path, {"version": "1"})
        card = path.with_suffix(".json")
        values = json.loads(card.read_text())
        card.write_text(json.dumps({**values, "config": {**values["config"], "hidden": 64}}))
        with pytest.raises(CheckpointError, match="do not fit their card"):
            load_codec(path)
        card.write_text("{}")
        with pytest.raises(CheckpointError, match="no model card"):
            load_codec(path)
        card.unlink()
        with pytest.raises(CheckpointError, match="is missing"):
            load_codec(path)


def test_a_beam_finds_sums_at_least_as_near() -> None:
    torch.manual_seed(3)
    vectors = torch.randn(2, 40, 16)
    greedy, beam = (ResidualQuantizer(8, 64, 16, decay=0.99, dropout=0.0, l2_normalize=False, beam=b) for b in (1, 4))
    beam.load_state_dict(greedy.state_dict())
    greedy.freeze()
    beam.freeze()
    plain, searched = (q.decode(q.encode(vectors)) for q in (greedy, beam))
    errors = [float((found - vectors).square().mean()) for found in (plain, searched)]
    assert errors[1] < 0.95 * errors[0]


def test_one_sequence_in_the_beam_is_the_greedy_search() -> None:
    torch.manual_seed(3)
    quantizer = ResidualQuantizer(4, 32, 8, decay=0.99, dropout=0.0, l2_normalize=False)
    vectors = torch.randn(3, 20, 8)
    assert torch.equal(quantizer._search(vectors), quantizer.encode(vectors))


def test_training_with_a_beam_goes_by_the_codes_that_encoding_chooses() -> None:
    torch.manual_seed(3)
    quantizer = ResidualQuantizer(4, 32, 8, decay=0.99, dropout=0.0, l2_normalize=False, beam=3).eval()
    vectors = torch.randn(3, 20, 8)
    passed = quantizer(vectors)
    assert torch.equal(passed.codes, quantizer.encode(vectors))
    torch.testing.assert_close(passed.vectors, quantizer.decode(passed.codes))
