"""A test set of synthetic dialogues for turn-taking: audio made by seed, with what happened and when.

Two kinds of scenes. *Turns*: a stranger asks something, in some of them with a pause in the middle of the sentence, in
silence or noise; the question is when the turn ends. *Overlaps*: an answer is being heard, and a stranger says a
backchannel, coughs, makes noise, is silent while the microphone hears the loudspeaker, or really speaks up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.data.synthesis import ask, random_talker, speak

Floats = npt.NDArray[np.float32]
SAMPLE_RATE = 16_000

Overlap = Literal["backchannel", "cough", "noise", "echo", "interruption"]

QUESTIONS = (
    "మీరు ఎలా ఉన్నారు ఈ రోజు",
    "రేపు హైదరాబాద్ లో వర్షం పడుతుందా",
    "నాకు ఒక మంచి కథ చెప్పండి",
    "ఈ రోజు రాత్రికి ఏం వంట చేయాలి",
    "మా అమ్మాయికి పుట్టినరోజు కానుక ఏం కొనాలి",
    "నాకు కొంచెం తలనొప్పిగా ఉంది ఏం చేయాలి",
    "మీకు ఇష్టమైన పాట ఏమిటి చెప్పండి",
    "ఉదయం త్వరగా లేవడానికి ఏం చేయాలి",
    "తిరుపతి వెళ్లడానికి ఎంత సమయం పడుతుంది",
    "పిల్లలకు చదువు మీద ఆసక్తి ఎలా పెంచాలి",
)
ANSWERS = (
    "చాలా బాగున్నాను, మీరు అడిగినందుకు ధన్యవాదాలు, ఈ రోజు చాలా సంతోషంగా ఉంది, మనం మాట్లాడుకుందాం",
    "అనగనగా ఒక ఊరిలో ఒక రాజు ఉండేవాడు, ఆయనకు ఏడుగురు కొడుకులు, వాళ్లు ఒక రోజు వేటకు వెళ్లారు",
    "ముందుగా బియ్యం కడిగి నానబెట్టండి, తర్వాత కూరగాయలు తరిగి పెట్టుకోండి, అన్నీ కలిపి ఉడికించండి",
)
BACKCHANNELS = ("ఆఁ", "ఊఁ", "అవును", "సరే", "ఓహో")
INTERRUPTIONS = (
    "ఆగండి నాకు అది కాదు కావలసింది",
    "ఒక్క నిమిషం నేను వేరే విషయం అడగాలి",
    "వద్దు వద్దు వేరే కథ చెప్పండి",
    "ఒక్క నిమిషం",
    "ఆగండి",
    "అది వద్దు",
)
"""The last three are hardly longer than a backchannel: only their words tell them apart."""


@dataclass(frozen=True, slots=True)
class TurnScene:
    """A question: microphone audio, where its speech begins and ends, and its inner pauses (start, end), in ms."""

    mic: Floats
    start_ms: float
    end_ms: float
    pauses: tuple[tuple[float, float], ...]
    noisy: bool


@dataclass(frozen=True, slots=True)
class OverlapScene:
    """An answer that is heard from `answer_ms` to the end, and what the person does at `event_ms`."""

    mic: Floats
    played: Floats
    """What goes to the loudspeaker, aligned with `mic`."""
    kind: Overlap
    event_ms: float
    event_end_ms: float


def turn_scenes(count: int, seed: int) -> list[TurnScene]:
    """Questions; about half have a pause of 200 to 900 ms at a place between words."""
    scenes = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        clip = ask(QUESTIONS[number % len(QUESTIONS)], talker=random_talker(int(rng.integers(1 << 30))), seed=number)
        speech, pauses = _level(_trimmed(clip.audio), rng.uniform(-30, -20)), []
        start_ms = 700.0
        if rng.random() < 0.5 and (cut := _quiet_place(speech)) is not None:
            pause = round(rng.uniform(0.2, 0.9) * SAMPLE_RATE)
            speech = np.concatenate([_faded(speech[:cut]), np.zeros(pause, np.float32), speech[cut:]])
            begin = start_ms + cut / 16
            pauses.append((begin, begin + pause / 16))
        noisy = bool(rng.random() < 0.4)
        mic = np.concatenate([np.zeros(11_200, np.float32), speech, np.zeros(28_800, np.float32)])
        mic += _noise(len(mic), rng, -52.0 if noisy else -70.0)
        scenes.append(TurnScene(mic, start_ms, start_ms + len(speech) / 16, tuple(pauses), noisy))
    return scenes


def overlap_scenes(count: int, seed: int) -> list[OverlapScene]:
    """Answers with something over them, kinds in turn; the loudspeaker is in the microphone in half of them."""
    kinds: Sequence[Overlap] = ("backchannel", "cough", "noise", "echo", "interruption", "interruption")
    scenes = []
    for number in range(count):
        rng = np.random.default_rng((seed, 1, number))
        kind = kinds[number % len(kinds)]
        played = _level(speak(ANSWERS[number % len(ANSWERS)], voice="priya", seed=number).audio, -20.0)
        played = np.concatenate([np.zeros(8_000, np.float32), played])[: SAMPLE_RATE * 8]
        event = _event(kind, number, rng)
        at = round(rng.uniform(1.5, 2.5) * SAMPLE_RATE)
        length = max(len(played), at + len(event)) + SAMPLE_RATE * 2
        mic = _noise(length, rng, -65.0)
        loudspeaker = kind == "echo" or rng.random() < 0.5
        if loudspeaker:
            delay = round(rng.uniform(0.15, 0.45) * SAMPLE_RATE)
            # A browser's canceller leaves a little; without one (echo scenes) the loudspeaker is heard in full.
            gain = 10 ** (rng.uniform(-18, -8) / 20) if kind == "echo" else 10 ** (rng.uniform(-40, -30) / 20)
            echo = _room(played, rng) * np.float32(gain)
            mic[delay : delay + len(echo)] += echo[: max(0, length - delay)]
        mic[at : at + len(event)] += event
        scenes.append(
            OverlapScene(mic, np.pad(played, (0, length - len(played))), kind, at / 16, (at + len(event)) / 16)
        )
    return scenes


def _event(kind: Overlap, number: int, rng: np.random.Generator) -> Floats:
    if kind in ("backchannel", "interruption"):
        words = BACKCHANNELS if kind == "backchannel" else INTERRUPTIONS
        talker = random_talker(int(rng.integers(1 << 30)))
        return _level(
            _trimmed(ask(words[number // 6 % len(words)], talker=talker, seed=number).audio), rng.uniform(-30, -20)
        )
    if kind == "cough":
        length = round(rng.uniform(0.15, 0.35) * SAMPLE_RATE)
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (0.08 * SAMPLE_RATE))
        return _level(burst.astype(np.float32), -20.0)
    if kind == "noise":
        return _noise(round(rng.uniform(0.5, 1.5) * SAMPLE_RATE), rng, -30.0)
    return np.zeros(SAMPLE_RATE, np.float32)


def _trimmed(audio: Floats) -> Floats:
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    return audio[loud[0] : loud[-1] + 1]


def _level(audio: Floats, db: float) -> Floats:
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) or 1.0
    return (audio * (10 ** (db / 20) / rms)).clip(-1, 1).astype(np.float32)


def _faded(audio: Floats, samples: int = 320) -> Floats:
    faded = audio.copy()
    faded[-samples:] *= np.linspace(1, 0, samples, dtype=np.float32)
    return faded


def _quiet_place(audio: Floats) -> int | None:
    """The quietest 20 ms in the middle half, as between words; None in a short clip."""
    if len(audio) < SAMPLE_RATE:
        return None
    first, last = len(audio) // 4, 3 * len(audio) // 4
    starts = np.arange(first, last - 320, 80)
    energy = [float(np.mean(np.square(audio[s : s + 320]))) for s in starts]
    return int(starts[int(np.argmin(energy))] + 160)


def _noise(length: int, rng: np.random.Generator, db: float) -> Floats:
    """Noise with the spectrum of a room: falling by 3 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0))
    return _level(np.fft.irfft(spectrum, length).astype(np.float32), db)


def _room(audio: Floats, rng: np.random.Generator) -> Floats:
    """A small loudspeaker in a small room: band-limited, with 0.2 s of reverberation."""
    size = len(audio) + 4_800
    spectrum = np.fft.rfft(audio, size)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= 1 / (1 + (250 / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / 6_000) ** 4)
    tail = rng.standard_normal(3_200) * np.exp(-np.arange(3_200) / 500) * 0.15
    tail[0] = 1.0
    return np.fft.irfft(spectrum * np.fft.rfft(tail, size), size)[: len(audio)].astype(np.float32)
