"""A folder of training speech: FLAC files, each with its phones in a JSON file of the same stem."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ml.audio.io import write_audio
from ml.data.corpus.loader import load_corpus
from ml.data.progress import Tell, silent
from ml.data.synthesis.g2p import analyse
from ml.data.synthesis.speech import seeded, speak
from ml.data.synthesis.talkers import ask, random_talker
from ml.data.synthesis.types import EMOTIONS, SAMPLE_RATE, VOICES, Controls, SpokenClip, SynthesisError

ANSWER_SHARE = 0.62
"""Share of clips by the four voices; strangers say the others."""
_LENGTHS = (15, 90)
"""Characters of a sentence that is taken from a text file."""


def make_speech(
    out: Path, *, minutes: float, seed: int, sentences: Path | None = None, tell: Tell = silent
) -> dict[str, Any]:
    """Fill ``out`` with ``minutes`` of speech; clips that are there already are not made again."""
    corpus = [answer.text for answer in load_corpus().answers()]
    lines: list[str] = []
    if sentences is not None:
        try:
            lines = [line.strip() for line in sentences.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise SynthesisError(f"{sentences} cannot be read as UTF-8 text: {error}") from error
        lines = [line for line in lines if _LENGTHS[0] < len(line) < _LENGTHS[1] and analyse(line).words]
    out.mkdir(parents=True, exist_ok=True)
    seconds, number = 0.0, 0
    while seconds < 60 * minutes:
        rng = seeded("speech", seed, number)
        pool = lines if lines and rng.random() < 0.3 else corpus
        stem = f"{seed:02d}-{number:06d}"
        seconds += _one(out, stem, pool[int(rng.integers(len(pool)))], number + 1_000_000 * seed, rng)
        number += 1
        tell(min(round(seconds), round(60 * minutes)), round(60 * minutes), "seconds of speech")
    return {"clips": number, "minutes": seconds / 60}


def _one(out: Path, stem: str, text: str, seed: int, rng: np.random.Generator) -> float:
    card = out / f"{stem}.json"
    if card.is_file():
        return float(json.loads(card.read_text(encoding="utf-8"))["phones"][-1][2])
    clip = _clip(text, seed, rng)
    write_audio(out / f"{stem}.flac", clip.audio)
    row = {
        "text": clip.text,
        "speaker": clip.speaker,
        "emotion": clip.emotion,
        "engine": clip.engine,
        "controls": clip.controls.as_dict(),
        "phones": [list(phone) for phone in clip.phones],
    }
    fresh = card.with_suffix(".new")  # the card is written last and whole: it says that the clip is complete
    fresh.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    os.replace(fresh, card)
    return len(clip.audio) / SAMPLE_RATE


def _clip(text: str, seed: int, rng: np.random.Generator) -> SpokenClip:
    if rng.random() >= ANSWER_SHARE:
        return ask(text, talker=random_talker(5_000_000 + seed), seed=seed)
    controls = Controls(
        pitch_semitones=round(float(np.clip(rng.normal(0.0, 1.0), -4.0, 4.0)), 2),
        rate=round(float(np.clip(rng.normal(1.0, 0.1), 0.7, 1.4)), 2),
        intensity=round(float(rng.uniform(0.4, 1.0)), 2),
    )
    voice, emotion = str(rng.choice(VOICES)), str(rng.choice(EMOTIONS))
    return speak(text, voice=voice, emotion=emotion, controls=controls, seed=seed)
