"""`speak`: answers in the product's four voices and nine emotions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml.data.synthesis import festival
from ml.data.synthesis.accent import accented
from ml.data.synthesis.colour import LEVEL_DB, aspirate, equalise, fade, filters, formant_ratio, level, shorten_tract
from ml.data.synthesis.emotions import PROGRAMS
from ml.data.synthesis.extras import around_laughter, hesitation
from ml.data.synthesis.g2p import analyse
from ml.data.synthesis.phones import SILENCE, TimedPhone
from ml.data.synthesis.prosody import Program, Sound, mix, plan
from ml.data.synthesis.types import EMOTIONS, SAMPLE_RATE, Audio, Controls, SpokenClip, SynthesisError
from ml.data.synthesis.voices import CAST, Voice

LEAD, TAIL = 0.03, 0.08
"""Seconds of silence that every clip begins and ends with."""
_MARGIN = 0.12
"""Seconds of pause that the engine gets on both sides, so that its first and last diphone have room."""
_RAMP = 0.012
_F0 = (55.0, 420.0)


@dataclass(frozen=True)
class Spoken:
    """Sound of a plan: audio that begins with ``LEAD`` and ends with ``TAIL``, and its phones in time."""

    audio: Audio
    phones: tuple[TimedPhone, ...]


def seeded(*parts: object) -> np.random.Generator:
    """A generator that depends on every part and on nothing else."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def _contour(
    sounds: Sequence[Sound], voice: Voice, program: Program, shift: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Times (seconds) and Hz of the F0 targets of ``sounds`` laid end to end."""
    times: list[float] = []
    height: list[float] = []
    at = 0.0
    for sound in sounds:
        for share, semitones in sound.pitch:
            times.append(at + share * sound.duration)
            height.append(semitones)
        at += sound.duration
    if not times:
        times, height = [0.0], [0.0]
    moment, line = np.array(times), np.array(height)
    centre = program.pitch
    line = centre + (line - centre) * voice.range + shift
    if program.tremor or voice.jitter:
        fine = np.arange(0.0, at, 0.03)
        line = np.interp(fine, moment, line)
        line += program.tremor * np.sin(2 * np.pi * 5.5 * fine + rng.uniform(0, 6.28))
        line += rng.normal(0.0, voice.jitter, len(fine))
        moment = fine
    return moment, np.clip(voice.base_hz * 2.0 ** (line / 12.0), *_F0)


def render(
    sounds: Sequence[Sound], voice: Voice, program: Program, *, shift: float, decibels: float, rng: np.random.Generator
) -> Spoken:
    """A plan through the diphone engine and the voice's timbre.

    ``shift`` semitones move the contour; ``decibels`` is added to the level of the neutral clip.
    """
    if not sounds:
        raise SynthesisError("there is nothing to say: the text has no Telugu letters, digits or Latin words")
    padded = [Sound(SILENCE, _MARGIN, []), *sounds, Sound(SILENCE, _MARGIN, [])]
    moment, hertz = _contour(padded, voice, program, shift, rng)
    ratio = formant_ratio(voice.formants * (1.0 + program.smile))
    factor = float(ratio)
    segments: list[festival.Segment] = []
    edges = [0.0]
    for sound in padded:
        start, length = edges[-1], sound.duration
        points = np.array([0.0, 0.5]) * length
        pitches = np.interp(start + points, moment, hertz) / factor
        targets = tuple((float(p) * factor, float(f)) for p, f in zip(points, pitches, strict=True))
        segments.append(festival.Segment(sound.symbol, length * factor, targets))
        edges.append(start + length)
    audio = festival.engine().render(segments)
    audio = shorten_tract(audio, ratio)
    starts = np.array(edges)
    centres = (starts[:-1] + starts[1:]) / 2
    gains = np.interp(np.arange(len(audio)) / SAMPLE_RATE, centres, [sound.gain_db for sound in padded])
    audio = (audio * 10 ** (gains / 20) * _hush(padded, edges, len(audio))).astype(np.float32)
    audio = aspirate(audio, min(voice.breath + program.breath, 1.0), rng)
    audio = equalise(audio, filters(voice.eq, round(voice.tilt_db + program.tilt_db, 2), voice.low_cut_hz))
    first, last = round((_MARGIN - LEAD) * SAMPLE_RATE), round((edges[-2] + TAIL) * SAMPLE_RATE)
    audio = fade(level(audio[first:last].copy(), LEVEL_DB + decibels))
    offset = first / SAMPLE_RATE
    total = len(audio) / SAMPLE_RATE
    phones = [TimedPhone(SILENCE, 0.0, round(LEAD, 4))]
    for sound, start, end in zip(sounds, edges[1:-2], edges[2:-1], strict=True):
        symbol = sound.label or sound.symbol
        begin, finish = round(start - offset, 4), round(end - offset, 4)
        if sound.label and phones[-1].symbol == symbol:
            phones[-1] = TimedPhone(symbol, phones[-1].start, finish)
        else:
            phones.append(TimedPhone(symbol, begin, finish))
    phones.append(TimedPhone(SILENCE, phones[-1].end, round(total, 4)))
    return Spoken(audio, tuple(phones))


def _hush(sounds: Sequence[Sound], edges: Sequence[float], count: int) -> np.ndarray:
    """Gain [T] that closes inside pauses: the engine goes on buzzing there at the recorded speaker's noise floor."""
    moments, gains = [0.0], [0.0]
    for number, (sound, start, end) in enumerate(zip(sounds, edges[:-1], edges[1:], strict=True)):
        if sound.symbol != SILENCE or end - start < 6 * _RAMP:
            continue
        if number:
            moments += [start + _RAMP, start + 3 * _RAMP]
            gains += [1.0, 0.03]
        if number < len(sounds) - 1:
            moments += [end - 2 * _RAMP, end]
            gains += [0.03, 1.0]
    return np.interp(np.arange(count) / SAMPLE_RATE, moments, gains)


def speak(
    text: str, *, voice: str = "priya", emotion: str = "neutral", controls: Controls | None = None, seed: int = 0
) -> SpokenClip:
    """Say ``text``; the same arguments give the same samples. SynthesisError where there is nothing to say."""
    if voice not in CAST:
        raise ValueError(f"voice must be one of {', '.join(CAST)}, not {voice!r}")
    if emotion not in PROGRAMS:
        raise ValueError(f"emotion must be one of {', '.join(EMOTIONS)}, not {emotion!r}")
    controls = controls or Controls()
    person = CAST[voice]
    rng = seeded(text, voice, emotion, controls, seed)
    program = mix(PROGRAMS[emotion], controls.intensity)
    program = replace(program, accent=max(program.accent, controls.accent))
    if controls.accent > 0.0 and emotion not in ("telugu_heavy", "telugu_mild"):
        heavy = PROGRAMS["telugu_heavy"]
        share = 0.8 * controls.accent
        program = replace(
            program,
            long_vowels=program.long_vowels * (1.0 + share * (heavy.long_vowels - 1.0)),
            word_final_length=program.word_final_length * (1.0 + share * (heavy.word_final_length - 1.0)),
            geminates=program.geminates * (1.0 + share * (heavy.geminates - 1.0)),
            word_rise=program.word_rise + share * 1.6,
        )
    sentence = accented(analyse(text), program.accent)
    tempo = person.rate * controls.rate
    sounds = plan(sentence, program, rng, rate=tempo)
    if sounds and emotion == "laugh":
        sounds = around_laughter(sounds, controls.intensity, program.pitch, rng)
    if sounds and emotion == "thinking":
        sounds = hesitation(sounds, controls.intensity, program.pitch, rng)
    spoken = render(
        sounds,
        person,
        program,
        shift=controls.pitch_semitones,
        decibels=program.energy_db + controls.energy_db,
        rng=rng,
    )
    return SpokenClip(spoken.audio, spoken.phones, text, voice, emotion, controls, "festival")
