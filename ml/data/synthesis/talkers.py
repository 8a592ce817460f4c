"""Endless synthetic strangers who ask the questions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import signal

from ml.data.synthesis import espeak
from ml.data.synthesis.accent import accented
from ml.data.synthesis.colour import LEVEL_DB, aspirate, equalise, fade, filters, formant_ratio, level, shorten_tract
from ml.data.synthesis.emotions import PROGRAMS
from ml.data.synthesis.g2p import Sentence, analyse
from ml.data.synthesis.phones import SILENCE, TimedPhone
from ml.data.synthesis.prosody import mix, plan
from ml.data.synthesis.speech import LEAD, TAIL, Spoken, render, seeded
from ml.data.synthesis.types import SAMPLE_RATE, Controls, SpokenClip, SynthesisError
from ml.data.synthesis.voices import Voice

_MOODS = ("neutral", "happy", "excited", "empathy", "surprise", "thinking", "telugu_heavy", "telugu_mild")
_MOOD_WEIGHTS = (0.34, 0.14, 0.10, 0.10, 0.06, 0.06, 0.08, 0.12)


@dataclass(frozen=True)
class Talker:
    """One stranger: the engine and what makes the voice this person's."""

    seed: int
    engine: Literal["festival", "espeak"]
    voice: Voice
    mood: str
    mood_strength: float
    accent: float
    variant: str = ""
    """Variant of espeak-ng's voice."""
    span: int = 50
    """espeak-ng's pitch range, 0 to 99."""

    @property
    def name(self) -> str:
        """Stable label of this person."""
        return f"{self.engine}-{self.seed}"


def random_talker(seed: int) -> Talker:
    """The stranger of this number; always the same one."""
    rng = seeded("talker", seed)
    festival = rng.random() < 0.72
    kind = rng.choice(3, p=(0.46, 0.44, 0.10))  # men, women, children: tract length and pitch go together
    formants = float(np.clip(rng.normal((0.97, 1.14, 1.24)[kind], (0.055, 0.05, 0.04)[kind]), 0.84, 1.32))
    hertz = float((118.0, 205.0, 265.0)[kind] * 2 ** (rng.normal(0.0, (2.6, 2.0, 1.8)[kind]) / 12))
    bands = tuple(
        (float(rng.uniform(low, high)), float(rng.normal(0.0, 2.2)), float(rng.uniform(0.6, 1.4)))
        for low, high in ((200, 700), (800, 1900), (2000, 3600), (3800, 6500))
    )
    voice = Voice(
        f"talker-{seed}",
        float(np.clip(hertz, 80.0, 320.0)),
        formants,
        float(np.clip(np.exp(rng.normal(0.02, 0.13)), 0.72, 1.38)),
        float(np.clip(np.exp(rng.normal(0.0, 0.25)), 0.5, 1.8)),
        tilt_db=float(rng.normal(0.0, 2.5)),
        breath=float(max(0.0, rng.normal(0.06, 0.12))),
        eq=bands,
        low_cut_hz=float(rng.uniform(50.0, 180.0)),
        jitter=float(rng.uniform(0.0, 0.2)),
    )
    return Talker(
        seed,
        "festival" if festival else "espeak",
        voice,
        str(rng.choice(_MOODS, p=_MOOD_WEIGHTS)),
        float(rng.uniform(0.2, 0.9)),
        float(max(0.0, rng.normal(0.0, 0.3))) if rng.random() < 0.5 else 0.0,
        variant=str(rng.choice(espeak.VARIANTS)),
        span=int(rng.integers(25, 80)),
    )


def ask(text: str, *, talker: Talker, seed: int = 0) -> SpokenClip:
    """``talker`` says ``text``, clean; room and noise are `vary`'s. The same arguments give the same samples."""
    rng = seeded("ask", text, talker, seed)
    accent = min(talker.accent, 1.0)
    sentence = accented(analyse(text), accent)
    if not sentence.words:
        raise SynthesisError("there is nothing to say: the text has no Telugu letters, digits or Latin words")
    rate = float(talker.voice.rate * np.exp(rng.normal(0.0, 0.06)))
    if talker.engine == "espeak":
        spoken = _by_espeak(sentence, talker, rate, rng)
    else:
        program = mix(PROGRAMS[talker.mood], talker.mood_strength)
        program = replace(program, energy_db=0.0, accent=accent)
        sounds = plan(sentence, program, rng, rate=rate)
        spoken = render(sounds, talker.voice, program, shift=float(rng.normal(0.0, 0.6)), decibels=0.0, rng=rng)
    controls = Controls(accent=accent, rate=float(np.clip(rate, 0.6, 1.7)))
    mood = talker.mood if talker.engine == "festival" else "neutral"
    return SpokenClip(spoken.audio, spoken.phones, text, talker.name, mood, controls, talker.engine)


def _by_espeak(sentence: Sentence, talker: Talker, rate: float, rng: np.random.Generator) -> Spoken:
    voice = talker.voice
    # half of the tract change, since the variants bring formants of their own
    ratio = formant_ratio(1.0 + 0.5 * (voice.formants - 1.0) * (1.0 if talker.variant.startswith("m") else 0.6))
    factor = float(ratio)
    pitch = int(np.clip(50 + 14 * np.log2(voice.base_hz / (120.0 * factor)) * 2 + rng.normal(0.0, 3.0), 5, 95))
    audio, native, phones = espeak.engine().say(
        sentence,
        variant=talker.variant,
        pitch=pitch,
        span=talker.span,
        words_per_minute=int(np.clip(165 * rate / factor, 90, 300)),
    )
    audio = signal.resample_poly(audio, 320, 441) if native == 22_050 else _resampled(audio, native)
    audio = shorten_tract(audio.astype(np.float32), ratio)
    audio = aspirate(audio, min(voice.breath, 1.0), rng)
    audio = equalise(audio, filters(voice.eq, round(voice.tilt_db, 2), voice.low_cut_hz))
    phones = [TimedPhone(p.symbol, p.start / factor, p.end / factor) for p in phones]
    # espeak's own pauses before and after give way to ours
    begin, end = phones[0].start, next(p.end for p in reversed(phones) if p.symbol != SILENCE)
    while phones[-1].symbol == SILENCE:
        phones.pop()
    first = max(round((begin - LEAD) * SAMPLE_RATE), 0)
    lead = begin - first / SAMPLE_RATE
    wanted = round((end + TAIL) * SAMPLE_RATE) - first
    audio = audio[first : first + wanted]
    audio = np.pad(audio, (0, max(wanted - len(audio), 0)))
    audio = fade(level(audio, LEVEL_DB))
    timed = [TimedPhone(SILENCE, 0.0, round(lead, 4))] if lead > 0.0005 else []
    shift = first / SAMPLE_RATE
    timed += [TimedPhone(p.symbol, round(p.start - shift, 4), round(p.end - shift, 4)) for p in phones]
    timed.append(TimedPhone(SILENCE, timed[-1].end, round(len(audio) / SAMPLE_RATE, 4)))
    return Spoken(audio, tuple(timed))


def _resampled(audio: np.ndarray, native: int) -> np.ndarray:
    common = int(np.gcd(native, SAMPLE_RATE))
    return signal.resample_poly(audio, SAMPLE_RATE // common, native // common)
