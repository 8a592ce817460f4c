"""Speech with phones for the recogniser: clips held in memory, batches by (seed, step), varied as life varies them.

A clip is an audio file with a JSON file beside it (`text`, `speaker`, `phones`: rows of symbol, start, end in
seconds), or a row of a `manifest.jsonl` with the same keys and `audio`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from ml.audio.io import SAMPLE_RATE, AudioError, Samples, read_audio
from ml.data.synthesis import (
    EMOTIONS,
    PHONE_ID,
    VOICES,
    Controls,
    SpokenClip,
    SynthesisError,
    ask,
    random_talker,
    speak,
    vary,
)
from ml.recogniser.config import RecogniserTrainConfig
from ml.train.buckets import Buckets
from ml.train.data import AUDIO_SUFFIXES, find_audio

PAUSE_SECONDS = 0.1
"""Shorter pauses between words are no target of the recogniser."""


@dataclass(frozen=True)
class PhonedClip:
    """One clip: int16 audio, class ids with their times in seconds."""

    audio: NDArray[np.int16]
    ids: NDArray[np.int64]
    spans: NDArray[np.float32]
    """[phones, 2] start and end."""
    text: str
    speaker: str

    @property
    def samples(self) -> Samples:
        """Audio as float32 in [-1, 1]."""
        return self.audio.astype(np.float32) / np.float32(32768.0)

    @property
    def target(self) -> list[int]:
        """What is to be recognised: phones, breath, laughter, and pauses inside the words."""
        last = len(self.ids) - 1
        kept: list[int] = []
        for at, (label, (start, end)) in enumerate(zip(self.ids.tolist(), self.spans.tolist(), strict=True)):
            pause = label == PHONE_ID["sil"]
            if pause and (at in (0, last) or end - start < PAUSE_SECONDS):
                continue
            if label in (PHONE_ID["laugh"], PHONE_ID["breath"]) and kept and kept[-1] == label:
                continue  # a peal of laughter is one event
            kept.append(label)
        return kept

    def frames(self, count: int, frame_seconds: float, delay: int) -> NDArray[np.int64]:
        """Class id of each of `count` frames, `delay` frames late; silence outside the clip."""
        middle = (np.arange(count) - delay + 0.5) * frame_seconds
        at = np.searchsorted(self.spans[:, 1], middle, side="right")
        inside = (middle >= 0) & (at < len(self.ids))
        return np.where(inside, self.ids[np.minimum(at, len(self.ids) - 1)], PHONE_ID["sil"])


def _rows(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    manifest = folder / "manifest.jsonl"
    if manifest.exists():
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            name = row.get("audio") or row.get("path")
            if name and row.get("phones"):
                yield folder / name, row
        return
    for path in sorted(p for p in folder.rglob("*") if p.suffix in AUDIO_SUFFIXES):
        card = path.with_suffix(".json")
        if card.exists():
            row = json.loads(card.read_text(encoding="utf-8"))
            if row.get("phones"):
                yield path, row


def phoned(audio: Samples, phones: Iterable[tuple[str, float, float]], text: str, speaker: str) -> PhonedClip:
    """A clip of audio and its timed phones."""
    rows = list(phones)
    return PhonedClip(
        np.round(np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16),
        np.array([PHONE_ID[symbol] for symbol, _, _ in rows], np.int64),
        np.array([[start, end] for _, start, end in rows], np.float32),
        text,
        speaker,
    )


def spoken_clips(texts: list[str], count: int, seed: int) -> list[PhonedClip]:
    """`count` clips made on the spot: half by synthetic strangers, half by the product's voices in every emotion."""
    clips = []
    for number in track(range(count), description="speaking", transient=True):
        rng = np.random.default_rng((seed, number))
        text = texts[int(rng.integers(len(texts)))]
        said: SpokenClip
        try:
            if number % 2:
                said = ask(text, talker=random_talker(int(rng.integers(1_000_000))), seed=number)
            else:
                controls = Controls(
                    pitch_semitones=float(rng.uniform(-4.0, 4.0)),
                    rate=float(rng.uniform(0.75, 1.35)),
                    accent=float(rng.uniform(0.0, 1.0)) if rng.random() < 0.3 else 0.0,
                    intensity=float(rng.uniform(0.5, 1.0)),
                )
                voice, emotion = VOICES[int(rng.integers(4))], EMOTIONS[int(rng.integers(len(EMOTIONS)))]
                said = speak(text, voice=voice, emotion=emotion, controls=controls, seed=number)
        except SynthesisError:  # a line without a letter that can be said
            continue
        clips.append(phoned(said.audio, said.phones, text, said.speaker))
    return clips


def load_clips(folders: list[Path], limit: int = 0) -> list[PhonedClip]:
    """Every clip with phones below `folders`, at most `limit` of them. Raises AudioError when there are none."""
    rows = [row for folder in folders for row in _rows(folder)]
    if limit and len(rows) > limit:
        rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:limit]]
    clips = []
    for path, row in track(rows, description="decoding clips", transient=True):
        told = [(p[0], p[1], p[2]) for p in row["phones"]]
        clips.append(phoned(read_audio(path), told, str(row.get("text", "")), str(row.get("speaker", path.stem))))
    if not clips:
        raise AudioError(
            f"no clips with phones below {', '.join(map(str, folders))}: each needs a .json with `phones` beside it"
        )
    return clips


def split_clips(clips: list[PhonedClip], kept: int = 0) -> tuple[list[PhonedClip], list[PhonedClip]]:
    """(training, held out): a tenth of the speakers, by a hash of their names, is never trained on."""
    held = {s for s in {c.speaker for c in clips} if int(hashlib.sha256(s.encode()).hexdigest(), 16) % 10 == 0}
    if not held:
        held = {sorted({c.speaker for c in clips})[-1]}
    out = [c for c in clips if c.speaker in held]
    return [c for c in clips if c.speaker not in held] or clips, out[:kept] if kept else out


@dataclass(frozen=True)
class Surroundings:
    """What clips are mixed with: noises and room responses, float32 at 16 kHz; either may be empty."""

    noises: list[Samples]
    rooms: list[Samples]

    @classmethod
    def load(cls, noises: Path | None, rooms: Path | None) -> Surroundings:
        """Audio files below the two folders; None for nothing."""
        return cls(
            [read_audio(p) for p in find_audio([noises])] if noises else [],
            [read_audio(p) for p in find_audio([rooms])] if rooms else [],
        )

    def vary(self, audio: Samples, share: float, rng: np.random.Generator) -> Samples:
        """With chance `share` as a microphone in a room hears it, else at a random level."""
        if rng.random() < share:
            return vary(audio, seed=int(rng.integers(2**32)), noises=self.noises or None, rooms=self.rooms or None)
        peak = float(np.abs(audio).max(initial=0.0)) + 1e-6
        gain = min(10.0 ** (rng.uniform(-18.0, 8.0) / 20.0), 0.99 / peak)
        return audio * np.float32(gain)


@dataclass
class PhoneBatch:
    """A padded batch for the recogniser."""

    audio: Tensor
    """float [B, T]."""
    frames: Tensor
    """int64 [B], frames of each row."""
    targets: Tensor
    """int64 [sum of target lengths], for CTC."""
    target_lengths: Tensor
    """int64 [B]."""
    aligned: Tensor
    """int64 [B, F], class per frame, -100 beyond a row's end."""


class PhoneBatches:
    """Batches of clips by (seed, step)."""

    def __init__(self, clips: list[PhonedClip], around: Surroundings, config: RecogniserTrainConfig, hop: int) -> None:
        self.clips, self.around, self.config, self.hop = clips, around, config, hop
        self.edge = round(0.3 * SAMPLE_RATE)
        budget = round(config.batch_seconds * SAMPLE_RATE)
        self.buckets = Buckets([len(c.audio) + self.edge for c in clips], budget, config.seed)

    def batch(self, step: int) -> PhoneBatch:
        """The batch of `step`: clips with up to 0.3 s of quiet around them, varied."""
        rng = np.random.default_rng((self.config.seed, step, 1))
        picked = [self.clips[i] for i in self.buckets.batch(step)]
        rows, spans = [], []
        for clip in picked:
            lead, tail = (int(v) for v in rng.integers(0, self.edge // 2, 2))
            audio = np.pad(clip.samples, (lead, tail))
            rows.append(self.around.vary(audio, self.config.varied_share, rng))
            spans.append(lead / SAMPLE_RATE)
        return collate(picked, rows, spans, self.hop, self.config.alignment_delay)


def collate(clips: list[PhonedClip], rows: list[Samples], leads: list[float], hop: int, delay: int) -> PhoneBatch:
    """Pad `rows` (audio of `clips`, each begun `leads` seconds earlier) into a batch."""
    frames = torch.tensor([-(-len(row) // hop) for row in rows])
    audio = torch.zeros(len(rows), int(frames.max()) * hop)
    aligned = torch.full((len(rows), int(frames.max())), -100)
    targets = [clip.target for clip in clips]
    seconds = hop / SAMPLE_RATE
    for number, (clip, row, lead) in enumerate(zip(clips, rows, leads, strict=True)):
        audio[number, : len(row)] = torch.from_numpy(row)
        shift = round(lead / seconds)
        labels = clip.frames(int(frames[number]), seconds, delay + shift)
        aligned[number, : len(labels)] = torch.from_numpy(labels)
    flat = torch.tensor([label for target in targets for label in target], dtype=torch.int64)
    return PhoneBatch(audio, frames, flat, torch.tensor([len(t) for t in targets]), aligned)
