"""Pretrained codecs by transformers, on tiny random models that the test makes itself."""

from pathlib import Path

import pytest
import torch

from ml.codec.adapters import AdaptedCodec, AdapterError, load_adapted
from ml.codec.model import CodecInputError

transformers = pytest.importorskip("transformers", reason="transformers is an optional package")


def tiny(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if family == "encodec":
        config = transformers.EncodecConfig(
            target_bandwidths=[1.5, 3.0], sampling_rate=16_000, hidden_size=16, num_filters=4, codebook_size=32,
            codebook_dim=16, num_lstm_layers=1,
        )  # fmt: skip
        return transformers.EncodecModel(config)
    if family == "dac":
        config = transformers.DacConfig(
            encoder_hidden_size=8, decoder_hidden_size=64, downsampling_ratios=(2, 4, 8, 5), n_codebooks=4,
            codebook_size=32, codebook_dim=4,
        )  # fmt: skip
        return transformers.DacModel(config)
    config = transformers.MimiConfig(
        hidden_size=32, num_filters=4, upsampling_ratios=[8, 6, 5, 4], codebook_size=32, codebook_dim=16,
        num_quantizers=4, vector_quantization_hidden_dimension=16, num_hidden_layers=2, intermediate_size=48,
        num_attention_heads=2, num_key_value_heads=2, upsample_groups=32, sliding_window=64,
    )  # fmt: skip
    return transformers.MimiModel(config)


@pytest.mark.parametrize("family", ["encodec", "dac", "mimi"])
def test_a_saved_codec_is_loaded_and_reconstructs(family: str, tmp_path: Path) -> None:
    tiny(family).save_pretrained(tmp_path)
    codec = load_adapted(str(tmp_path))
    audio = torch.randn(2, 16_000) * 0.1
    with torch.inference_mode():
        codes = codec.encode(audio)
        made = codec.reconstruct(audio)
        fewer, two_levels = codec.decode(codes, 2), codec.decode(codes[:, :2])
    assert codes.dtype == torch.int64
    assert codes.shape[:2] == (2, codec.config.n_quantizers)
    assert codes.shape[2] == -(-codec.config.native_rate // codec.config.native_hop)
    assert int(codes.min()) >= 0
    assert int(codes.max()) < codec.config.codebook_size
    assert made.shape == audio.shape
    assert torch.equal(fewer, two_levels)
    assert codec.config.kbps(2) == pytest.approx(2 * 5 * codec.config.frame_rate / 1000)


def test_mimi_streams_what_it_encodes_offline() -> None:
    codec = AdaptedCodec(tiny("mimi"), "mimi")
    hop = codec.config.native_hop
    audio = torch.randn(1, 8 * hop) * 0.1
    with torch.inference_mode():
        state = codec.streaming_state()
        parts = [codec.encode_stream(audio[:, i * hop : (i + 2) * hop], state) for i in range(0, 8, 2)]
        whole = codec.model.encode(audio[:, None], num_quantizers=codec.config.n_quantizers).audio_codes
    assert torch.equal(torch.cat(parts, 2), whole)


def test_codecs_without_a_state_say_so() -> None:
    codec = AdaptedCodec(tiny("dac"), "dac")
    assert not codec.streams
    with pytest.raises(AdapterError, match="no streaming state"):
        codec.streaming_state()


def test_bad_input_is_refused(tmp_path: Path) -> None:
    codec = AdaptedCodec(tiny("encodec"), "encodec")
    with pytest.raises(CodecInputError, match="mono audio"):
        codec.encode(torch.zeros(1, 2, 16_000))
    with pytest.raises(CodecInputError, match="NaN"):
        codec.encode(torch.full((1, 16_000), torch.nan))
    with pytest.raises(AdapterError, match=r"config\.json"):
        load_adapted(str(tmp_path))
