"""What a plan may be given besides the corpus: sentences, recordings of people, noises and rooms."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.audio.io import read_audio
from ml.data.corpus.schema import Split
from ml.data.pairs.sizes import PairsError

AUDIO_SUFFIXES = frozenset((".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".webm"))
_SPEAKERS = (
    re.compile(r"^(?P<speaker>\d+)-\d+-\d+$"),  # LibriSpeech: speaker-chapter-utterance
    re.compile(r"^(?P<speaker>\d{5})\d{4}$"),  # speechocean762: SSSSSUUUU
    re.compile(r"^(?P<speaker>common_voice_[a-z]+)_\d+$"),
)
_SENTENCE = re.compile(r"[\u0c00-\u0c65 ,.?!\u200c]+")


def split_by_hash(name: str) -> Split:
    """train, validation or test (0.8 / 0.1 / 0.1), by a hash of the name."""
    bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10
    return "validation" if bucket == 0 else "test" if bucket == 1 else "train"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to cut a clip from."""

    path: Path
    sha256: str
    speaker: str
    split: Split


@dataclass(frozen=True, slots=True)
class Sources:
    """Checked inputs of a plan."""

    sentences: tuple[str, ...] = ()
    human: tuple[Recording, ...] = ()
    noises: tuple[Recording, ...] = ()
    rooms: tuple[Recording, ...] = ()
    surroundings: str = ""
    """Fingerprint of noises and rooms; "" without."""
    paths: dict[str, Path] = field(default_factory=dict)
    """sha256 -> file, for human recordings and noises."""


def find_sources(
    *,
    sentences: Path | None = None,
    human: tuple[Path, ...] = (),
    noises: Path | None = None,
    rooms: Path | None = None,
) -> Sources:
    """Look at the given files and folders. Raises PairsError for what is missing or empty."""
    lines: tuple[str, ...] = ()
    if sentences is not None:
        try:
            read = sentences.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PairsError(
                f"{sentences} cannot be read ({error}): give a UTF-8 text file, one sentence a line"
            ) from None
        lines = tuple(dict.fromkeys(line.strip() for line in read if _sayable(line.strip())))
        if not lines:
            raise PairsError(f"{sentences} has no Telugu sentence of 3 to 12 words: give one sentence a line")
    people = tuple(recording for folder in human for recording in _recordings(folder, by_speaker=True))
    sounds = _recordings(noises, by_speaker=False) if noises else ()
    places = _recordings(rooms, by_speaker=False) if rooms else ()
    told = "".join(r.sha256 for r in (*sounds, *places))
    return Sources(
        sentences=lines,
        human=people,
        noises=sounds,
        rooms=places,
        surroundings=hashlib.sha256(told.encode()).hexdigest()[:12] if told else "",
        paths={r.sha256: r.path for r in (*people, *sounds)},
    )


def _sayable(line: str) -> bool:
    return bool(_SENTENCE.fullmatch(line)) and 3 <= len(line.split()) <= 12 and len(line) <= 90


def _recordings(folder: Path, *, by_speaker: bool) -> tuple[Recording, ...]:
    if not folder.is_dir():
        raise PairsError(f"{folder} is not a folder: give one that holds audio files")
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
            continue
        label = f"{folder.name}/{_speaker(path.stem)}" if by_speaker else path.stem
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(Recording(path, digest, label, split_by_hash(label)))
    if not found:
        raise PairsError(f"{folder} holds no audio files ({', '.join(sorted(AUDIO_SUFFIXES))}): check the folder")
    return tuple(found)


def _speaker(stem: str) -> str:
    for pattern in _SPEAKERS:
        if match := pattern.match(stem):
            return match["speaker"]
    return stem


@lru_cache(maxsize=8)
def decoded(recordings: tuple[Recording, ...]) -> tuple[NDArray[np.float32], ...]:
    """Audio of noises or rooms, 16 kHz mono; kept for the life of a worker."""
    return tuple(read_audio(recording.path) for recording in recordings)
