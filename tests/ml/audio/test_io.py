"""Any ordinary audio file comes in as 16 kHz mono; what is none is named."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ml.audio.io import AudioError, read_audio, stream_audio, write_audio


def tone(rate: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return np.stack([wave] * channels, axis=1)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)])
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate, channels=channels), rate)
    audio = read_audio(path)
    assert abs(len(audio) - 16_000) <= 32
    expected = tone(16_000)[:, 0]
    middle = slice(2_000, 14_000)
    assert np.corrcoef(audio[middle], expected[middle])[0, 1] > 0.999


def test_a_compressed_container_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (tone(48_000)[:, 0] * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert 15_000 < len(read_audio(path)) < 17_500


def test_long_files_come_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    write_audio(path, np.zeros(16_000 * 35, np.float32))
    blocks = [len(block) for block in stream_audio(path)]
    assert blocks == [160_000, 160_000, 160_000, 80_000]


@pytest.mark.parametrize("content", [b"", b"this is no audio", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_what_is_no_audio_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"letter\.wav"):
        read_audio(path)


def test_missing_and_unwritable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is not a file"):
        read_audio(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "no" / "folder.wav", np.zeros(10, np.float32))
