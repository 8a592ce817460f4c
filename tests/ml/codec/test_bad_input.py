"""Files that are no ordinary speech, through both presets' shapes: an answer or one clear line, in bounded memory."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ml.audio.io import AudioError
from ml.cli import main
from ml.codec import CodecConfig, TeluCodec, export_codec
from ml.codec.files import reconstruct_file

RATE = 16_000
PRESETS = ("tiny", "tiny-dialogue")


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def broken(value: float, samples: int = RATE) -> np.ndarray:
    audio = noise(samples)
    audio[777] = value
    return audio


@pytest.fixture(scope="module", params=PRESETS)
def codec(request: pytest.FixtureRequest) -> TeluCodec:
    torch.manual_seed(0)
    return TeluCodec(CodecConfig.named(request.param)).fold()


@pytest.mark.parametrize(
    ("audio", "rate", "samples"),
    [
        pytest.param(np.zeros(RATE, np.float32), RATE, RATE, id="silence"),
        pytest.param(np.sign(noise(RATE)), RATE, RATE, id="clipping"),
        pytest.param(noise(RATE, 100.0), RATE, RATE, id="far beyond full scale"),
        pytest.param(np.stack([noise(RATE), noise(RATE)], axis=1), RATE, RATE, id="stereo"),
        pytest.param(np.stack([noise(48_000)] * 6, axis=1), 48_000, RATE, id="six channels at 48 kHz"),
        pytest.param(noise(8_000), 8_000, RATE, id="8 kHz"),
        pytest.param(noise(48_000), 48_000, RATE, id="48 kHz"),
        pytest.param(noise(1), RATE, 1, id="1 sample"),
        pytest.param(noise(16_000 * 10 + 1), RATE, 16_000 * 10 + 1, id="1 sample more than a block"),
    ],
)
def test_what_is_unusual_is_answered(
    codec: TeluCodec, tmp_path: Path, audio: np.ndarray, rate: int, samples: int
) -> None:
    soundfile.write(tmp_path / "in.wav", audio, rate, subtype="FLOAT")
    result = reconstruct_file(codec, tmp_path / "in.wav", tmp_path / "out.wav")
    made, made_rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (made_rate, made.shape) == (RATE, (samples,))
    assert result.seconds == samples / RATE
    assert np.isfinite([result.snr_db, result.rtf]).all()


def test_of_stereo_the_mean_is_coded(codec: TeluCodec, tmp_path: Path) -> None:
    left, right = noise(RATE), 0.3 * np.sin(np.arange(RATE, dtype=np.float32))
    soundfile.write(tmp_path / "both.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "mean.wav", (left + right) / 2, RATE, subtype="FLOAT")
    for name in ("both", "mean"):
        reconstruct_file(codec, tmp_path / f"{name}.wav", tmp_path / f"{name}.out.wav")
    assert (tmp_path / "both.out.wav").read_bytes() == (tmp_path / "mean.out.wav").read_bytes()


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        pytest.param(broken(np.nan), RATE, "NaN or infinite samples; repair or cut them", id="NaN"),
        pytest.param(broken(np.inf), RATE, "NaN or infinite samples; repair or cut them", id="infinite"),
        pytest.param(broken(np.nan, 48_000), 48_000, "NaN or infinite samples", id="NaN that is resampled"),
        pytest.param(noise(0), RATE, "holds no samples; record it again", id="no samples"),
        pytest.param(
            noise(1)[:1], 48_000, "holds no samples; record it again", id="1 sample of 48 kHz, a third of ours"
        ),
    ],
)
def test_what_cannot_be_coded_is_one_line_and_leaves_no_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    audio: np.ndarray,
    rate: int,
    words: str,
) -> None:
    export_codec(TeluCodec(CodecConfig.named("tiny")), tmp_path / "codec-tiny.safetensors", {"version": "1"})
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, audio, rate, subtype="FLOAT")
    monkeypatch.setattr(
        sys,
        "argv",
        ["ml", "codec", "reconstruct", str(source), str(target), "--preset", "tiny", "--weights", str(tmp_path)],
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {source}")
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*out.wav"))


def test_nan_behind_the_first_block_leaves_no_half_file(codec: TeluCodec, tmp_path: Path) -> None:
    audio = noise(RATE * 12)
    audio[-1] = np.nan
    soundfile.write(tmp_path / "in.wav", audio, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        reconstruct_file(codec, tmp_path / "in.wav", tmp_path / "out.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_damaged_file_is_not_answered_twice(codec: TeluCodec, tmp_path: Path) -> None:
    """What was read before the damage must not come again from another reader."""
    soundfile.write(tmp_path / "in.flac", noise(RATE * 5), RATE)
    content = bytearray((tmp_path / "in.flac").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    (tmp_path / "in.flac").write_bytes(content)
    with pytest.raises(AudioError, match=r"in\.flac is damaged after 2 s"):
        reconstruct_file(codec, tmp_path / "in.flac", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours in small: three times the length, the same blocks and no more memory."""
    torch.manual_seed(0)
    codec = TeluCodec(CodecConfig.named("tiny")).fold()
    fed: list[int] = []
    encode = codec.encode_stream

    def watched(audio: torch.Tensor, *rest: object) -> torch.Tensor:
        fed.append(audio.shape[1])
        return encode(audio, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(codec, "encode_stream", watched)
    peaks = []
    block = noise(rate * 10)
    for blocks in (2, 2, 6):  # the first fills caches
        with soundfile.SoundFile(str(tmp_path / "in.wav"), "w", rate, 1) as file:
            for _ in range(blocks):
                file.write(block)
        fed.clear()
        tracemalloc.start()
        reconstruct_file(codec, tmp_path / "in.wav", tmp_path / "out.wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert max(fed) == 10 * RATE
        assert sum(fed) == pytest.approx(blocks * 10 * RATE, abs=RATE)
    assert peaks[2] < peaks[1] + 4 * RATE  # bytes, one second: 40 s kept would be forty times that


class TestModel:
    """The same where tensors come in."""

    @pytest.mark.parametrize(
        "audio",
        [
            pytest.param(torch.zeros(1, RATE), id="silence"),
            pytest.param(torch.ones(1, RATE), id="clipped to one side"),
            pytest.param(torch.full((1, 1), 0.5), id="1 sample"),
            pytest.param(1e30 * torch.ones(1, 1_000), id="as loud as floats nearly go"),
        ],
    )
    def test_answers_are_finite(self, codec: TeluCodec, audio: torch.Tensor) -> None:
        with torch.inference_mode():
            made = codec.reconstruct(audio)
        assert made.shape == audio.shape
        assert made.isfinite().all()

    def test_nan_is_refused(self, codec: TeluCodec) -> None:
        with pytest.raises(ValueError, match="repair or cut"):
            codec.encode(torch.full((1, 1_000), torch.nan))

    def test_nan_in_a_stream_is_refused_and_the_stream_goes_on(self, codec: TeluCodec) -> None:
        generator = torch.Generator().manual_seed(5)
        audio = 0.1 * torch.randn(2, 8 * codec.config.hop, generator=generator)
        expected = codec.encode_stream(audio, codec.streaming_state(2))
        state = codec.streaming_state(2)
        half = audio.shape[1] // 2
        first = codec.encode_stream(audio[:, :half], state)
        spoilt = audio[:, half:].clone()
        spoilt[1, 3] = float("nan")
        with pytest.raises(ValueError, match="NaN or infinite samples"):
            codec.encode_stream(spoilt, state)
        assert torch.equal(torch.cat([first, codec.encode_stream(audio[:, half:], state)], dim=2), expected)
        codec.encode_stream(spoilt, state, torch.tensor([True, False]))  # who does not take part may hold anything

    def test_channels_beside_each_other_are_refused(self, codec: TeluCodec) -> None:
        with pytest.raises(ValueError, match="mono audio"):
            codec.encode(torch.zeros(1, 2, 1_000))
