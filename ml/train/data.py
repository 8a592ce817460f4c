"""Speech for codec training: clips held in memory as int16, crops drawn by (seed, step).

A batch depends on nothing but the seed and the step, so a resumed run sees exactly what the unbroken run would have.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from ml.audio.io import SAMPLE_RATE, AudioError, read_audio
from ml.train.labels import STEP, UNKNOWN, phones_of, pitch_of

AUDIO_SUFFIXES = {".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".webm"}
_SPEAKERS = (
    re.compile(r"^(?P<speaker>\d+)-\d+-\d+$"),  # LibriSpeech: speaker-chapter-utterance
    re.compile(r"^(?P<speaker>\d{5})\d{4}$"),  # speechocean762: SSSSSUUUU
    re.compile(r"^(?P<speaker>common_voice_[a-z]+)_\d+$"),
)


def speaker_of(path: Path) -> str:
    """Speaker label from a file name as the corpora write it; the file's own name where there is none."""
    for pattern in _SPEAKERS:
        if match := pattern.match(path.stem):
            return f"{path.parent.name}/{match['speaker']}"
    return f"{path.parent.name}/{path.stem}"


def split_of(path: Path) -> str:
    """train, validation or test (0.90 / 0.05 / 0.05), by a hash of the speaker."""
    bucket = int(hashlib.sha256(speaker_of(path).encode()).hexdigest(), 16) % 20
    return {0: "validation", 1: "test"}.get(bucket, "train")


def held_out_split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Training and validation clips: split by speaker, or every tenth clip where that leaves one side empty.

    Raises AudioError when there are fewer than two clips.
    """
    if len(paths) < 2:
        raise AudioError(f"{len(paths)} clip is too little to train on and to validate with; add recordings")
    split = [split_of(path) for path in paths]
    training = [path for path, part in zip(paths, split, strict=True) if part == "train"]
    held_out = [path for path, part in zip(paths, split, strict=True) if part == "validation"]
    if not training or not held_out:
        held_out = paths[::10]
        training = [path for path in paths if path not in set(held_out)]
    return training, held_out


def find_audio(folders: Iterable[Path]) -> list[Path]:
    """Audio files below `folders`, sorted. Raises AudioError when a folder is missing or holds none."""
    found: list[Path] = []
    for folder in folders:
        here = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
        if not here:
            raise AudioError(f"no audio files below {folder}; check the folder")
        found += here
    return found


class Batch(NamedTuple):
    """One training batch; pitch and phones every 10 ms, None without labels."""

    audio: NDArray[np.float32]  # [rows, samples]
    pitch: NDArray[np.float32] | None  # [rows, samples / 160] Hz, 0 unvoiced
    phones: NDArray[np.int64] | None  # [rows, samples / 160] class ids, -1 unknown


@dataclass(frozen=True)
class ClipBank:
    """Clips end to end in one int16 array, with labels every 10 ms if they were asked for."""

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    pitch: NDArray[np.float32] | None = None
    phones: NDArray[np.int16] | None = None

    @classmethod
    def load(cls, paths: list[Path], cache: Path | None = None, labels: bool = False) -> ClipBank:
        """Decode `paths` to 16 kHz mono; with `cache` (a folder) a second load takes a moment."""
        key = hashlib.sha256("\n".join(f"{p.resolve()}:{p.stat().st_size}" for p in paths).encode()).hexdigest()[:16]
        file = cache / f"clips-{key}{'-labelled' if labels else ''}.npz" if cache else None
        if file and file.exists():
            with np.load(file, allow_pickle=False) as stored:
                return cls(*(stored[name] for name in _STORED[: 5 if labels else 3]))
        clips, tracks, phones = [], [], []
        for path in track(paths, description="decoding clips", transient=True):
            audio = read_audio(path)
            clips.append(np.round(np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16))
            if labels:
                tracks.append(pitch_of(audio))
                phones.append(phones_of(path, len(audio)))
        lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        known = (np.concatenate(tracks), np.concatenate(phones)) if labels else (None, None)
        bank = cls(np.concatenate(clips), starts, lengths, *known)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(
                f".{uuid.uuid4().hex}.partial.npz"
            )  # several processes of a run may all write it
            np.savez(partial, **{n: v for n in _STORED if (v := getattr(bank, n)) is not None})
            partial.replace(file)
        return bank

    def __add__(self, other: ClipBank) -> ClipBank:
        """Both banks as one."""
        labels = [
            None if a is None or b is None else np.concatenate([a, b])
            for a, b in ((self.pitch, other.pitch), (self.phones, other.phones))
        ]
        return ClipBank(
            np.concatenate([self.samples, other.samples]),
            np.concatenate([self.starts, other.starts + len(self.samples)]),
            np.concatenate([self.lengths, other.lengths]),
            *labels,
        )

    @property
    def hours(self) -> float:
        return len(self.samples) / SAMPLE_RATE / 3600.0

    def clip(self, index: int) -> NDArray[np.float32]:
        """Clip `index` as float32 in [-1, 1]."""
        start = self.starts[index]
        return self.samples[start : start + self.lengths[index]].astype(np.float32) / 32768.0

    @cached_property
    def label_starts(self) -> NDArray[np.int64]:
        """Where each clip's labels begin."""
        return np.concatenate([[0], np.cumsum(self.lengths // STEP + 1)[:-1]])

    def batch(self, rows: int, samples: int, seed: int, step: int) -> Batch:
        """Crops `[rows, samples]`, clips weighted by length; gain, polarity, bandwidth and noise floor varied."""
        rng = np.random.default_rng((seed, step))
        chosen = rng.choice(len(self.lengths), size=rows, p=self.lengths / self.lengths.sum())
        out = np.zeros((rows, samples), np.float32)
        pitch = None if self.pitch is None else np.zeros((rows, samples // STEP), np.float32)
        phones = None if self.phones is None else np.full((rows, samples // STEP), UNKNOWN, np.int64)
        for row, index in enumerate(chosen):
            clip = self.clip(int(index))
            offset = int(rng.integers(0, len(clip) - samples)) if len(clip) > samples else 0
            if pitch is not None:
                offset -= offset % STEP
            cut = clip[offset : offset + samples]
            out[row, : len(cut)] = cut
            begin = int(self.label_starts[index]) + offset // STEP
            count = len(cut) // STEP
            if pitch is not None and self.pitch is not None:
                pitch[row, :count] = self.pitch[begin : begin + count]
            if phones is not None and self.phones is not None:
                phones[row, :count] = self.phones[begin : begin + count]
        out = _varied(out, rng)
        level = np.sqrt(np.mean(out**2, axis=1, keepdims=True)) + 1e-4
        target = 10.0 ** (rng.uniform(-34.0, -14.0, size=(rows, 1)) / 20.0)
        gain = np.minimum(target / level, 0.99 / (np.abs(out).max(axis=1, keepdims=True) + 1e-4))
        out *= gain * rng.choice((-1.0, 1.0), size=(rows, 1))
        noisy = rng.random((rows, 1)) < 0.1
        out += noisy * rng.standard_normal(out.shape) * target * 10.0 ** (rng.uniform(-45.0, -25.0, (rows, 1)) / 20.0)
        return Batch(out.astype(np.float32), pitch, phones)


_STORED = ("samples", "starts", "lengths", "pitch", "phones")


def _varied(crops: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What other microphones and files do to speech: a third loses its highs, a third has dead silent pauses.

    Recordings that went through MP3 or a gate have both, and a codec that never saw them leaves noise there.
    """
    rows, samples = crops.shape
    frequency = np.fft.rfftfreq(samples, 1.0 / SAMPLE_RATE)
    spectrum = np.fft.rfft(crops)
    for row in range(rows):
        if rng.random() < 0.35:
            cutoff = rng.uniform(3_000.0, 7_500.0)
            spectrum[row] /= 1.0 + (frequency / cutoff) ** (2 * int(rng.integers(4, 20)))
        if rng.random() < 0.3:  # spectral tilt, +-6 dB from 100 Hz to 8 kHz
            octaves = np.log2(np.maximum(frequency, 100.0) / 900.0)
            spectrum[row] *= 10.0 ** (rng.uniform(-2.0, 2.0) * octaves / 20.0)
    out = np.fft.irfft(spectrum, samples).astype(np.float32)
    step = SAMPLE_RATE // 100
    for row in range(rows):
        if rng.random() < 0.35:
            power = np.square(out[row, : samples // step * step]).reshape(-1, step).mean(axis=1)
            opened = power > np.quantile(power, 0.95) * 10.0 ** rng.uniform(-4.5, -2.5)
            hold = np.convolve(opened, np.ones(7), "same") > 0
            gain = np.convolve(hold, np.hanning(7) / np.hanning(7).sum(), "same")
            out[row] *= np.interp(np.arange(samples), (np.arange(len(gain)) + 0.5) * step, gain)
    return out
