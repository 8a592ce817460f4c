"""Measures of the voices: are they four people, are the emotions nine, do the controls do what they say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.audio.dnsmos import dnsmos
from ml.audio.io import read_audio
from ml.data.progress import Tell, silent
from ml.data.synthesis import espeak, festival
from ml.data.synthesis.classify import fit
from ml.data.synthesis.features import Heard, analyse_audio, heard, prosody_features, timbre_features
from ml.data.synthesis.speech import seeded, speak
from ml.data.synthesis.talkers import ask, random_talker
from ml.data.synthesis.types import EMOTIONS, SAMPLE_RATE, VOICES, Audio, Controls

TRAIN_SHARE = 0.6
"""Share of the sentences that the classifiers learn from; they are measured on the others."""
_SWEEPS: dict[str, tuple[float, ...]] = {
    "pitch_semitones": (-4.0, -2.0, 0.0, 2.0, 4.0),
    "energy_db": (-6.0, -3.0, 0.0, 3.0, 6.0),
    "rate": (0.75, 0.875, 1.0, 1.15, 1.35),
}
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Report:
    """Everything `python -m ml data voices report` finds; plain numbers, ready for JSON."""

    sentences: dict[str, int]
    """Sentences by use: train, test."""
    speaker_accuracy: float
    """By MFCC and pitch."""
    embedding_accuracy: float
    """By Resemblyzer's speaker embedding, on some of the clips; nan where it was not asked for."""
    emotion_accuracy: float
    emotion_accuracy_by_voice: dict[str, float]
    confusion: dict[str, dict[str, int]]
    """Emotion said -> emotion taken for -> clips."""
    table: dict[str, dict[str, dict[str, float]]]
    """Voice -> emotion -> mean of the numbers of `Heard`."""
    controls: dict[str, list[dict[str, float]]]
    """Control -> asked and measured, for every step of a sweep."""
    dnsmos: dict[str, dict[str, float]]
    """Who -> signal, background, overall and number of clips."""
    speed: dict[str, float]
    """Seconds of audio per second of processor time, engines included."""
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(
    sentences: Sequence[str], *, human: Path | None = None, rated: int = 12, embed_of: int = 8, tell: Tell = silent
) -> Report:
    """Speak every sentence in all voices and emotions and measure; deterministic but for the speed.

    ``sentences`` are split in order, the first `TRAIN_SHARE` of them for the classifiers to learn from; ``human`` is a
    folder of recordings to compare with, ``rated`` the number of clips of each kind that DNSMOS scores (0: none),
    ``embed_of`` the sentences to learn from and as many to test that the speaker embedding hears (0: none).
    """
    if len(sentences) < 5:
        raise ValueError("give at least 5 sentences, so that some can be held out")
    cut = round(len(sentences) * TRAIN_SHARE)
    rows: list[tuple[int, int, int]] = []
    prosody: list[NDArray[np.float64]] = []
    timbre: list[NDArray[np.float64]] = []
    numbers: list[Heard] = []
    kept: dict[tuple[int, int], list[Audio]] = {}
    embedded: dict[int, NDArray[np.float32]] = {}
    wanted = {*range(min(cut, embed_of)), *range(cut, min(cut + embed_of, len(sentences)))}
    made = spent = 0.0
    for place, text in enumerate(sentences):
        for v, voice in enumerate(VOICES):
            for e, emotion in enumerate(EMOTIONS):
                began = cpu_seconds()
                audio = speak(text, voice=voice, emotion=emotion, seed=place).audio
                spent += cpu_seconds() - began
                made += len(audio) / SAMPLE_RATE
                if place in wanted:
                    embedded[len(rows)] = _embed(audio)
                rows.append((place, v, e))
                clip = analyse_audio(audio)
                prosody.append(prosody_features(clip))
                timbre.append(timbre_features(clip))
                numbers.append(heard(clip))
                if place < rated:
                    kept.setdefault((v, e), []).append(audio)
        tell(place + 1, len(sentences), "sentences")
    place_of, voice_of, emotion_of = (np.array(column) for column in zip(*rows, strict=True))
    train = place_of < cut
    sound, manner = np.array(timbre), np.array(prosody)
    speaker = fit(sound[train], voice_of[train], len(VOICES)).predict(sound[~train])
    features = _against_neutral(np.concatenate((manner, sound), axis=1), voice_of, emotion_of, train)
    guess = fit(features[train], emotion_of[train], len(EMOTIONS), 1e-3).predict(features[~train])
    said, by = emotion_of[~train], voice_of[~train]
    scores, speeds = _rate(kept, sentences, human, rated, tell) if rated else ({}, {})
    return Report(
        {"train": cut, "test": len(sentences) - cut},
        float(np.mean(speaker == by)),
        _by_embedding(embedded, voice_of, train),
        float(np.mean(guess == said)),
        {voice: float(np.mean(guess[by == v] == said[by == v])) for v, voice in enumerate(VOICES)},
        {
            emotion: {other: int(np.sum((said == e) & (guess == o))) for o, other in enumerate(EMOTIONS)}
            for e, emotion in enumerate(EMOTIONS)
        },
        {
            voice: {
                emotion: _mean([numbers[i] for i in np.flatnonzero((voice_of == v) & (emotion_of == e))])
                for e, emotion in enumerate(EMOTIONS)
            }
            for v, voice in enumerate(VOICES)
        },
        _sweep(sentences[:4]),
        scores,
        {"speak": made / max(spent, 1e-9), **speeds},
    )


def cpu_seconds() -> float:
    """Processor time of this process and of the engines' programs: what speed means on a busy machine."""
    engines = (festival.engine().process_id, espeak.engine().process_id)
    return time.process_time() + sum(_cpu_of(pid) for pid in engines)


def _cpu_of(pid: int) -> float:
    """User, system and waited-for children's time of a process, from /proc (0 where there is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _embed(audio: Audio) -> NDArray[np.float32]:
    from ml.data.speakers import embed  # loads torch

    return embed(audio)


def _by_embedding(embedded: dict[int, NDArray[np.float32]], voices: Labels, train: NDArray[np.bool_]) -> float:
    if not embedded:
        return float("nan")
    rows = np.array(sorted(embedded))
    vectors = np.array([embedded[row] for row in rows], dtype=np.float64)
    learn = train[rows]
    guess = fit(vectors[learn], voices[rows][learn], len(VOICES)).predict(vectors[~learn])
    return float(np.mean(guess == voices[rows][~learn]))


def _against_neutral(
    features: NDArray[np.float64], voices: Labels, emotions: Labels, train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Each voice against the mean of its own neutral training clips: a listener knows the speaker, too."""
    result = features.copy()
    neutral = EMOTIONS.index("neutral")
    for v in range(len(VOICES)):
        result[voices == v] -= features[train & (voices == v) & (emotions == neutral)].mean(axis=0)
    return result


def _mean(rows: list[Heard]) -> dict[str, float]:
    return {name: float(np.mean([getattr(row, name) for row in rows])) for name in Heard.__dataclass_fields__}


def _sweep(sentences: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Each control over its steps, the rest at rest: what is asked and what is measured, against the middle step."""
    measured: dict[str, Callable[[Heard], float]] = {
        "pitch_semitones": lambda h: 12 * float(np.log2(h.pitch_hz)),
        "energy_db": lambda h: h.energy_db,
        "rate": lambda h: -float(np.log(h.seconds)),
    }
    result: dict[str, list[dict[str, float]]] = {}
    for name, steps in _SWEEPS.items():
        rows = []
        for step in steps:
            spoken = [speak(text, controls=Controls(**{name: step})).audio for text in sentences]
            rows.append(float(np.mean([measured[name](heard(analyse_audio(audio))) for audio in spoken])))
        middle = rows[len(rows) // 2]
        result[name] = [
            {"asked": step, "measured": float(np.exp(row - middle)) if name == "rate" else row - middle}
            for step, row in zip(steps, rows, strict=True)
        ]
    return result


def _rate(
    kept: dict[tuple[int, int], list[Audio]], sentences: Sequence[str], human: Path | None, rated: int, tell: Tell
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """DNSMOS of people, voices, emotions and the strangers of each engine; and how fast the strangers are made."""
    groups: dict[str, list[Audio]] = {}
    if human is not None:
        files = sorted(p for p in human.rglob("*") if p.suffix.lower() in (".mp3", ".flac", ".wav", ".ogg"))
        if not files:
            raise ValueError(f"{human} has no recordings (.mp3 .flac .wav .ogg)")
        chosen = seeded("human").permutation(len(files))[: max(rated, 20)]
        groups["people"] = [read_audio(files[i]) for i in chosen]
    neutral = EMOTIONS.index("neutral")
    for v, voice in enumerate(VOICES):
        groups[f"voice {voice}, neutral"] = kept[v, neutral]
    for e, emotion in enumerate(EMOTIONS):
        groups[f"emotion {emotion}"] = [clip for v in range(len(VOICES)) for clip in kept[v, e][: max(rated // 4, 1)]]
    speeds: dict[str, float] = {}
    for engine in ("festival", "espeak"):
        talkers = [t for t in map(random_talker, range(20 * rated)) if t.engine == engine][:rated]
        began = cpu_seconds()
        clips = [ask(sentences[i % len(sentences)], talker=talker).audio for i, talker in enumerate(talkers)]
        spent = cpu_seconds() - began
        groups[f"strangers by {engine}"] = clips
        speeds[f"ask by {engine}"] = sum(map(len, clips)) / SAMPLE_RATE / max(spent, 1e-9)
    result: dict[str, dict[str, float]] = {}
    for number, (name, clips) in enumerate(groups.items()):
        scores = np.array([dnsmos(clip, windows=1) for clip in clips])
        signal, background, overall = (float(value) for value in scores.mean(axis=0))
        result[name] = {"signal": signal, "background": background, "overall": overall, "clips": float(len(clips))}
        tell(number + 1, len(groups), "DNSMOS")
    return result, speeds
