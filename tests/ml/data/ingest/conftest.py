"""Speech and files of every kind for ingest tests."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy.signal import resample_poly

Floats = npt.NDArray[np.float32]
CODECS = {".mp3": "libmp3lame", ".m4a": "aac", ".webm": "libopus", ".wav": "pcm_s16le", ".flac": "flac"}


def encode(path: Path, audio: Floats, rate: int, *, stereo: bool = False) -> None:
    """Write 16 kHz mono `audio` to a file of any kind, rate and number of channels."""
    samples = resample_poly(audio, rate, 16_000).astype(np.float32) if rate != 16_000 else audio
    channels = np.stack([samples, 0.5 * samples]) if stereo else samples[None]
    if path.suffix in (".wav", ".flac"):
        soundfile.write(path, channels.T, rate, subtype="PCM_16")
        return
    with av.open(str(path), "w") as container:
        layout = "stereo" if stereo else "mono"
        stream = container.add_stream(CODECS[path.suffix], rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size or 0)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def say(telugu_speech: npt.NDArray[np.int16]) -> Callable[[int], Floats]:
    """A spoken clip by number: stretches of speech in another order, pitch and tempo, with quiet noise around."""
    speech = telugu_speech.astype(np.float32) / 32768.0

    def made(number: int) -> Floats:
        rng = np.random.default_rng(number)
        step = len(speech) // 8
        parts = [speech[i * step : (i + 1) * step] for i in rng.permutation(8)]
        factor = int(rng.integers(17, 24))
        voice = resample_poly(np.concatenate(parts), 20, factor).astype(np.float32)
        padded = np.pad(voice, (int(rng.integers(4_000, 9_000)), int(rng.integers(4_000, 9_000))))
        level = 0.5 * rng.uniform(0.3, 1.0)
        return np.asarray(level * padded + 1e-4 * rng.standard_normal(len(padded)), np.float32)

    return made


@pytest.fixture(scope="session")
def wav_bytes() -> Callable[[Floats], bytes]:
    """A WAV file in memory."""

    def made(audio: Floats) -> bytes:
        held = io.BytesIO()
        soundfile.write(held, audio, 16_000, format="WAV", subtype="PCM_16")
        return held.getvalue()

    return made
