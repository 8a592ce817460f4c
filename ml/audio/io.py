"""Reading and writing audio: soundfile for what it knows, PyAV for the rest, always 16 kHz mono out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

Samples = NDArray[np.float32]
SAMPLE_RATE = 16_000


class AudioError(ValueError):
    """A file that is no usable audio; the message names it and says what to do."""


def unwritable(path: Path, error: Exception) -> AudioError:
    """The error for an output file that soundfile refuses."""
    return AudioError(f"{path} cannot be written ({error}); use a .wav or .flac name in an existing folder")


def _to_mono(data: NDArray[np.float32]) -> Samples:
    return np.ascontiguousarray(data.mean(axis=1) if data.ndim == 2 else data, dtype=np.float32)


def _read_av(path: Path, sample_rate: int) -> Iterator[Samples]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioError(f"{path} has no audio stream; give an audio file (WAV, FLAC, MP3, M4A, WebM…)")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
            for frame in container.decode(audio=0):
                for out in resampler.resample(frame):
                    yield out.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            for out in resampler.resample(None):
                yield out.to_ndarray().reshape(-1).astype(np.float32, copy=False)
    except av.FFmpegError as error:
        raise AudioError(f"{path} cannot be decoded ({error}); re-export it as WAV or FLAC") from None


def stream_audio(path: Path, sample_rate: int = SAMPLE_RATE, block_seconds: float = 10.0) -> Iterator[Samples]:
    """Blocks of mono float32 at `sample_rate` with bounded memory, whatever the file's length. Raises AudioError."""
    if not path.is_file():
        raise AudioError(f"{path} is not a file; check the name")
    block = round(block_seconds * sample_rate)
    pending: list[Samples] = []
    held = 0
    for part in _blocks(path, sample_rate):
        pending.append(part)
        held += len(part)
        while held >= block:
            joined = np.concatenate(pending)
            yield joined[:block]
            pending = [joined[block:]]
            held -= block
    if held:
        yield np.concatenate(pending)


def _blocks(path: Path, sample_rate: int) -> Iterator[Samples]:
    seconds = 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.samplerate == sample_rate:  # other rates go to PyAV, which resamples while it streams
                for part in file.blocks(blocksize=sample_rate, dtype="float32"):
                    yield _to_mono(part)
                    seconds += 1
                return
    except soundfile.LibsndfileError as error:
        if seconds:  # PyAV would begin anew, and what was given already would come twice
            raise AudioError(f"{path} is damaged after {seconds} s ({error}); cut it there, or record again") from None
    yield from _read_av(path, sample_rate)


def read_audio(path: Path, sample_rate: int = SAMPLE_RATE) -> Samples:
    """The whole file as mono float32 `[samples]` at `sample_rate`. Raises AudioError."""
    parts = list(stream_audio(path, sample_rate))
    if not parts:
        raise AudioError(f"{path} holds no samples; record it again")
    return np.concatenate(parts)


def write_audio(path: Path, samples: Samples, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono float32 as 16-bit audio; the suffix chooses the container (.wav, .flac). Raises AudioError."""
    try:
        soundfile.write(str(path), np.clip(samples, -1.0, 1.0), sample_rate, subtype="PCM_16")
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        raise unwritable(path, error) from None


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Polyphase resampling of a whole signal."""
    divisor = np.gcd(source_rate, target_rate)
    return resample_poly(samples, target_rate // divisor, source_rate // divisor).astype(np.float32)
