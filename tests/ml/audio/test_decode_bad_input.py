"""What people upload to the codec lab and is no ordinary speech: an answer or a clear refusal, bounded."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from ml.audio.decode import UndecodableError, decode


def wav(audio: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        pytest.param(wav(np.zeros(16_000, np.float32)), 16_000, id="silence"),
        pytest.param(wav(np.sign(noise(16_000))), 16_000, id="clipping"),
        pytest.param(wav(noise(16_000, 100.0)), 16_000, id="far beyond full scale"),
        pytest.param(wav(np.stack([noise(16_000)] * 2, axis=1)), 16_000, id="stereo"),
        pytest.param(wav(noise(8_000), 8_000), 16_000, id="8 kHz"),
        pytest.param(wav(noise(48_000), 48_000), 16_000, id="48 kHz"),
        pytest.param(wav(noise(1)), 1, id="1 sample"),
    ],
)
def test_what_is_unusual_is_answered(data: bytes, samples: int) -> None:
    assert len(np.frombuffer(decode(data, "wav", 20), "<i2")) == samples


def test_loud_is_clipped_and_never_wraps() -> None:
    pcm = np.frombuffer(decode(wav(np.linspace(-3, 3, 16_000, dtype=np.float32)), "wav", 20), "<i2")
    assert (np.diff(pcm.astype(int)) >= 0).all()
    assert (pcm[0], pcm[-1]) == (-32_768, 32_767)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value: float, subtype: str) -> None:
    audio = noise(16_000)
    audio[777] = value
    with pytest.raises(UndecodableError, match="NaN or infinite samples; send it as WAV, 16 bit"):
        decode(wav(audio, subtype=subtype), "wav", 20)


def test_of_two_hours_only_what_is_taken_is_decoded() -> None:
    """57.6 million samples in a file of some hundred kilobytes; 20 s of them are 640 kB."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, format="FLAC", subtype="PCM_16", compression_level=0) as out:
        minute = np.zeros(8_000 * 60, np.int16)
        for _ in range(120):
            out.write(minute)
    data = file.getvalue()
    tracemalloc.start()
    pcm = decode(data, "flac", 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pcm) == 2 * (20 * 16_000 + 1)
    assert peak < 8 << 20
