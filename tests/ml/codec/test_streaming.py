"""Streaming equals offline, whatever the chunks, and rows of a batch do not know of each other."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.codec import CodecConfig, TeluCodec


@pytest.fixture(scope="module", params=["tiny", "tiny-dialogue", "tiny-beam"])
def codec(request: pytest.FixtureRequest) -> TeluCodec:
    torch.manual_seed(1)
    beam = request.param == "tiny-beam"
    config = CodecConfig.named("tiny" if beam else request.param)
    model = TeluCodec(dataclasses.replace(config, beam=3) if beam else config)
    for name, parameter in model.named_parameters():  # biases start at zero, which would hide padding mistakes
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model.fold()


def speech_like(codec: TeluCodec, rows: int, frames: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, frames * codec.config.hop, generator=generator) * 0.1


def same_codes(streamed: torch.Tensor, offline: torch.Tensor) -> bool:
    """Equal codes `[..., Q, F]`, but for one frame: entries of random codebooks can be equally near to 1e-7."""
    return streamed.shape == offline.shape and int((streamed != offline).any(dim=-2).sum()) <= 1


@given(chunks=st.lists(st.integers(1, 7), min_size=1, max_size=12), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_any_chunking_equals_offline(codec: TeluCodec, chunks: list[int], seed: int) -> None:
    frames = sum(chunks)
    audio = speech_like(codec, 2, frames, seed)
    with torch.inference_mode():
        offline_codes = codec.encode(audio)
        offline_audio = codec.decode(offline_codes)
        state = codec.streaming_state(2)
        flush = torch.zeros(2, -(-codec.config.delay_samples // codec.config.hop) * codec.config.hop)
        codes, decoded, done = [], [], 0
        for part in (*torch.split(audio, [n * codec.config.hop for n in chunks], dim=1), flush):
            codes.append(codec.encode_stream(part, state))
            count = codes[-1].shape[2]
            decoded.append(codec.decode_stream(offline_codes[:, :, done : done + count], state))
            done += count
    assert same_codes(torch.cat(codes, 2), offline_codes)
    streamed = torch.cat(decoded, 1)[:, codec.config.delay_samples :]
    assert torch.allclose(streamed, offline_audio, atol=1e-5)


@given(seed=st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_rows_that_advance_at_random_equal_their_solo_run(codec: TeluCodec, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, steps, hop = 3, 12, codec.config.hop
    audio = speech_like(codec, rows, 4 * steps, seed)
    position = [0] * rows
    together: list[list[torch.Tensor]] = [[] for _ in range(rows)]
    chosen: list[list[torch.Tensor]] = [[] for _ in range(rows)]
    with torch.inference_mode():
        state = codec.streaming_state(rows)
        for _ in range(steps):
            mask = torch.rand(rows, generator=generator) < 0.6
            block = torch.stack([audio[row, p : p + 4 * hop] for row, p in enumerate(position)])
            block[~mask] = 99.0  # whatever stands in an idle row must not leak anywhere
            codes = codec.encode_stream(block, state, mask)
            out = codec.decode_stream(codes, state, mask=mask)
            for row in range(rows):
                if mask[row]:
                    together[row].append(out[row])
                    chosen[row].append(codes[row])
                    position[row] += 4 * hop
        for row in range(rows):
            if not together[row]:
                continue
            alone = codec.streaming_state(1)
            codes = torch.cat(chosen[row], 1)
            assert same_codes(codes, codec.encode_stream(audio[row : row + 1, : position[row]], alone)[0])
            solo = codec.decode_stream(codes[None], alone)[0]
            assert torch.allclose(torch.cat(together[row]), solo, atol=1e-5)


def test_reset_forgets_one_row_only(codec: TeluCodec) -> None:
    first, second = speech_like(codec, 2, 8, 1), speech_like(codec, 2, 8, 2)
    with torch.inference_mode():
        state = codec.streaming_state(2)
        codec.decode_stream(codec.encode_stream(first, state), state)
        state.reset(torch.tensor([True, False]))
        after = codec.decode_stream(codec.encode_stream(second, state), state)
        fresh = codec.streaming_state(2)
        anew = codec.decode_stream(codec.encode_stream(second, fresh), fresh)
    assert torch.allclose(after[0], anew[0], atol=1e-6)
    assert not torch.allclose(after[1], anew[1], atol=1e-3)


def test_gathered_rows_step_like_the_whole(codec: TeluCodec) -> None:
    audio = speech_like(codec, 3, 4, 5)
    rows = torch.tensor([2, 0])
    with torch.inference_mode():
        whole, parts = codec.streaming_state(3), codec.streaming_state(3)
        for _ in range(2):
            expected = codec.decode_stream(codec.encode_stream(audio, whole), whole)
            picked = parts.gather(rows)
            got = codec.decode_stream(codec.encode_stream(audio[rows], picked), picked)
            parts.scatter(rows, picked)
    assert torch.allclose(got, expected[rows], atol=1e-5)


def test_quantizers_are_chosen_per_row(codec: TeluCodec) -> None:
    audio = speech_like(codec, 1, 10, 3).expand(2, -1)
    with torch.inference_mode():
        codes = codec.encode(audio)
        mixed = codec.decode(codes, torch.tensor([2, 8]))
        assert torch.allclose(mixed[0], codec.decode(codes, 2)[0], atol=1e-6)
        assert torch.allclose(mixed[0], codec.decode(codes[:, :2])[0], atol=1e-6)
        assert torch.allclose(mixed[1], codec.decode(codes)[1], atol=1e-6)
        assert not torch.allclose(mixed[0], mixed[1], atol=1e-3)


def test_no_output_depends_on_later_input(codec: TeluCodec) -> None:
    audio = speech_like(codec, 1, 20, 4)
    changed = audio.clone()
    changed[:, 10 * codec.config.hop :] += 0.3
    with torch.inference_mode():
        a, b = codec.reconstruct(audio), codec.reconstruct(changed)
    safe = 10 * codec.config.hop - codec.config.delay_samples
    assert torch.equal(a[:, :safe], b[:, :safe])
    assert not torch.equal(a[:, safe:], b[:, safe:])


def test_step_mask_of_wrong_shape_is_refused(codec: TeluCodec) -> None:
    state = codec.streaming_state(2)
    with pytest.raises(ValueError, match=r"mask must be bool of shape \(2,\)"):
        codec.encode_stream(torch.zeros(2, codec.config.hop), state, torch.ones(3, dtype=torch.bool))
