"""The codebook of levels: its filters change levels and nothing else, and without it a codec is what it was."""

import dataclasses
import math

import pytest
import torch

from ml.codec import CodecConfig, ConfigError, TeluCodec
from ml.codec.levels import BandFilters, TrackingQuantizer, _centres, band_shares, with_room_for_levels
from ml.codec.streaming import StreamState

TINY = CodecConfig.named("tiny")


@pytest.fixture
def codec() -> TeluCodec:
    torch.manual_seed(0)
    made = TeluCodec(TINY)
    assert made.levels is not None
    torch.nn.init.normal_(made.levels.decoder.leave.weight, std=0.5)  # it starts at zero
    return made.fold()


def test_every_frequency_belongs_wholly_to_the_bands() -> None:
    shares = band_shares(28, 161, 16_000)
    assert shares.shape == (161, 28)
    assert torch.allclose(shares.sum(1), torch.ones(161, dtype=torch.float64))
    assert (shares.sum(0) > 0).all(), "a band without a frequency"


def test_gains_of_one_are_a_delay_of_half_a_hop() -> None:
    filters = BandFilters(dataclasses.replace(TINY, level_bands=28))
    samples = torch.randn(2, 800)
    out = filters(samples.view(2, 10, 80), torch.zeros(2, 10, 28)).flatten(1)
    assert torch.allclose(out[:, 40:], samples[:, :-40], atol=1e-5)


def test_a_band_is_raised_and_its_neighbours_are_not() -> None:
    config = dataclasses.replace(TINY, level_bands=12)
    filters = BandFilters(config)
    centres = _centres(12, config.sample_rate)
    change = torch.zeros(1, 50, 12)
    change[:, :, 7] = 1.0  # doubled
    for band, wanted in ((5, 1.0), (7, 2.0), (9, 1.0)):
        tone = torch.sin(2.0 * math.pi * float(centres[band]) * torch.arange(4_000) / 16_000)
        out = filters(tone.view(1, 50, 80), change).flatten()
        assert float(out[800:].std() / tone.std()) == pytest.approx(wanted, rel=0.1)
        shifted = torch.dot(out[840:], tone[800:-40]) / (out[840:].norm() * tone[800:-40].norm())
        assert float(shifted) > 0.999, "the phase moved"


def test_without_its_codebook_levels_stay_as_the_others_decode_them(codec: TeluCodec) -> None:
    audio = torch.randn(2, 4_000) * 0.1
    with torch.inference_mode():
        codes = codec.encode(audio)
        seven, eight = codec.decode(codes, 7), codec.decode(codes)
        assert torch.equal(codec.decode(codes[:, :7]), seven)
        assert not torch.allclose(seven, eight, atol=1e-4)
        rows = codec.decode(codes, torch.tensor([7, 8]))
        assert torch.allclose(rows[0], seven[0], atol=1e-6)
        assert torch.allclose(rows[1], eight[1], atol=1e-6)


def test_weights_without_levels_become_ones_with_room_for_them() -> None:
    torch.manual_seed(0)
    plain = TeluCodec(dataclasses.replace(TINY, level_bands=0)).fold()
    with torch.no_grad():  # the newest frame's share begins half a hop late: nothing is lost by beginning earlier
        plain.decoder.head.linear.weight[:40, -TINY.decoder_width :] = 0.0
        plain.decoder.head.linear.bias.normal_(std=0.01)
    grown = TeluCodec(TINY).fold()
    tensors = with_room_for_levels(plain.state_dict(), TINY)
    own = grown.state_dict()
    grown.load_state_dict(own | {name: value for name, value in tensors.items() if name in own})
    grown.freeze()
    audio = torch.randn(1, 3_000) * 0.1
    with torch.inference_mode():
        codes = plain.encode(audio)
        assert torch.equal(grown.encode(audio)[:, :7], codes[:, :7])
        before, after = plain.decode(codes, 7), grown.decode(codes, 7)
    assert torch.allclose(before[:, :-40], after[:, :-40], atol=1e-5)


def test_levels_need_what_they_stand_on() -> None:
    with pytest.raises(ConfigError, match="level_bands needs an overlap_add head"):
        dataclasses.replace(CodecConfig.named("tiny-dialogue"), level_bands=8)
    with pytest.raises(ConfigError, match="two codebooks"):
        dataclasses.replace(TINY, n_quantizers=1)


def test_codes_follow_levels_that_move_slowly() -> None:
    torch.manual_seed(0)
    quantizer = TrackingQuantizer(TINY)
    slow = torch.randn(16, 8, TINY.level_bands).repeat_interleave(25, dim=1)  # 25 frames, 125 ms each
    quantizer.start(quantizer.examples(slow)[:20_000])
    quantizer.train()
    for _ in range(5):
        quantizer(slow)
    quantizer.eval()
    codes = quantizer.track(slow)
    followed = quantizer.trace(codes)
    error = (followed - slow).square().mean(dim=(0, 2)).view(8, 25).mean(0)
    assert float(error[12:].mean()) < 0.5 * float(error[0]), "an error is not made up for by the codes after it"


def test_a_stream_follows_as_the_whole_does() -> None:
    torch.manual_seed(0)
    quantizer = TrackingQuantizer(TINY)
    wanted = torch.randn(2, 30, TINY.level_bands)
    state = StreamState(2)
    for key in ("levels.sent", "levels.received"):
        quantizer.allocate(state, key)
    codes = quantizer.track(wanted)
    streamed = torch.cat([quantizer.track(part, state.step(None)) for part in wanted.split([1, 4, 25], dim=1)], dim=2)
    assert torch.equal(streamed, codes)
    led = torch.cat([quantizer.trace(part, state.step(None)) for part in codes.split([7, 20, 3], dim=2)], dim=1)
    assert torch.equal(led, quantizer.trace(codes))


def test_what_the_encoder_decoded_need_not_be_decoded_again() -> None:
    """Same samples, also of rows outside the mask, and in a step in which a row uses fewer codebooks."""
    torch.manual_seed(8)
    codec = TeluCodec(CodecConfig.named("tiny")).freeze()
    count, hop = codec.config.n_quantizers, codec.config.hop
    plain, aloud = codec.streaming_state(2), codec.streaming_state(2)
    masks = [None, torch.tensor([True, False]), None, None, None]
    for step, mask in enumerate(masks):
        audio = 0.1 * torch.randn(2, 3 * hop)
        used = torch.tensor([count, count - 1 if step == 4 else count])
        codes = codec.encode_stream(audio, plain, mask)
        again, waveform = codec.encode_aloud(audio, aloud, mask)
        assert torch.equal(again, codes)
        told = codec.decode_stream(codes, aloud, used, mask, waveform=waveform)
        torch.testing.assert_close(told, codec.decode_stream(codes, plain, used, mask))
