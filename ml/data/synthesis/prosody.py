"""From words to phones in time with an F0 contour, under a prosody program.

The model of intonation is the accentual phrase of Telugu: every word starts low and rises to its right edge, the last
word of a phrase falls (statements) or rises and falls on its last syllable (questions), all on a declining line. A
program shifts, widens, reshapes and times that; `mix` scales it, so intensity is continuous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ml.data.synthesis.g2p import Break, Sentence, Word
from ml.data.synthesis.phones import LONG_VOWELS, SILENCE, is_vowel

_SECONDS = {
    **dict.fromkeys(("a",), 0.064),
    **dict.fromkeys(("i", "u", "e", "o"), 0.066),
    **dict.fromkeys(("aa", "ee", "oo", "ii", "uu"), 0.118),
    **dict.fromkeys(("ai", "au"), 0.132),
    **dict.fromkeys(("k", "t", "p", "T", "c"), 0.080),
    **dict.fromkeys(("g", "d", "b", "D", "j"), 0.060),
    **dict.fromkeys(("kh", "th", "Th", "ch"), 0.095),
    **dict.fromkeys(("gh", "dh", "Dh", "bh", "jh"), 0.078),
    **dict.fromkeys(("ng", "ny", "N", "n", "m"), 0.062),
    **dict.fromkeys(("y", "v", "l", "L"), 0.052),
    "r": 0.036,
    **dict.fromkeys(("s", "sh", "S", "f"), 0.092),
    "h": 0.062,
}
"""Seconds of a phone inside a phrase at rate 1; the relations follow the recorded voice's own statistics."""
_PAUSES: dict[Break, float] = {"": 0.0, ",": 0.20, ".": 0.36, "?": 0.38, "!": 0.34, "…": 0.45}
_WH_STARTS = ("e", "ee", "ai")
"""Telugu question words begin so (ఎవరు, ఏమి, ఎక్కడ, ఎందుకు, ఏంటి)."""


@dataclass(frozen=True)
class Program:
    """How a way of speaking differs. The defaults are neutral; semitones are relative to the voice's base pitch."""

    pitch: float = 0.0
    """Level, semitones."""
    range: float = 1.0
    """Factor on every excursion of the contour."""
    declination: float = -2.5
    """Semitones from the first to the last syllable of a phrase."""
    word_rise: float = 2.2
    """Semitones from a word's first syllable to its right edge."""
    peak_at: float = 1.0
    """Where in the word the rise ends: 1 at its last syllable, 0 at its first."""
    final: float = -3.0
    """Semitones on the last syllable of a statement."""
    final_curl: float = 0.0
    """Semitones at the very end of that syllable, after ``final``: a tail that turns up (or drops further)."""
    question: float = 5.0
    """Height of the rise on the last syllable of a question."""
    emphasis: float = 0.0
    """Extra semitones on one word of each phrase (and its share in energy and length)."""
    bounce: float = 0.0
    """Semitones by which every other syllable is lifted."""
    rate: float = 1.0
    """Tempo."""
    pauses: float = 1.0
    """Factor on the length of pauses."""
    word_gaps: float = 0.0
    """Seconds of hesitation after some words, where no mark asks for a pause."""
    long_vowels: float = 1.0
    """Factor on long vowels."""
    final_length: float = 1.45
    """Factor on the last syllable before a pause."""
    word_final_length: float = 1.0
    """Factor on the last vowel of every word."""
    geminates: float = 1.0
    """Factor on doubled consonants."""
    energy_db: float = 0.0
    swell_db: float = 2.0
    """Louder in the middle of a phrase than at its end."""
    attack_db: float = 0.0
    """Louder on the first word of a phrase."""
    tilt_db: float = 0.0
    """Spectral tilt: high shelf above 1.5 kHz; effort raises it, tenderness lowers it."""
    breath: float = 0.0
    """Aspiration noise, 0 to 1."""
    jitter: float = 0.10
    """Standard deviation of F0 targets in semitones."""
    tremor: float = 0.0
    """Depth of a 5.5 Hz tremor in semitones (a held laugh, a moved voice)."""
    smile: float = 0.0
    """Share by which formants rise (spread lips) or, negative, fall (rounded, protruded)."""
    accent: float = 0.0
    """Strength of the rural accent, 0 to 1 (see `accent`)."""


NEUTRAL = Program()


def mix(program: Program, intensity: float) -> Program:
    """The program at ``intensity``: 0 is neutral, 1 the program itself, linear between."""
    values: dict[str, Any] = {}
    for field in fields(Program):
        rest, full = getattr(NEUTRAL, field.name), getattr(program, field.name)
        values[field.name] = rest + (full - rest) * intensity
    return Program(**values)


@dataclass
class Sound:
    """One phone on its way to the engine."""

    symbol: str
    duration: float
    """Seconds."""
    pitch: list[tuple[float, float]]
    """(share of the duration, semitones against the voice's base)."""
    gain_db: float = 0.0
    label: str = ""
    """Symbol of the inventory to record where it is not ``symbol`` (laughter is made of /h/ and /a/)."""


def _emphasised(words: Sequence[Word], rng: np.random.Generator) -> int:
    """The word of a phrase that carries its weight: a question word, else one of the longer ones."""
    for at, word in enumerate(words):
        if word.phones[0] in _WH_STARTS and words[-1].pause == "?":
            return at
    lengths = np.array([len(word.syllables) for word in words], dtype=float)
    return int(np.argmax(lengths + rng.uniform(0.0, 1.5, len(words))))


def _phrases(sentence: Sentence) -> list[list[Word]]:
    phrases: list[list[Word]] = [[]]
    for word in sentence.words:
        phrases[-1].append(word)
        if word.pause:
            phrases.append([])
    return [phrase for phrase in phrases if phrase]


def _durations(word: Word, program: Program, last: bool, weight: float, rng: np.random.Generator) -> list[float]:
    phones = word.phones
    spans = word.syllables
    squeeze = 1.0 if len(spans) < 5 else 0.94
    result: list[float] = []
    for at, phone in enumerate(phones):
        before = phones[at - 1] if at else ""
        after = phones[at + 1] if at + 1 < len(phones) else ""
        seconds = _SECONDS[phone] * squeeze
        final_syllable = bool(spans) and at >= spans[-1][0]
        if is_vowel(phone):
            if phone in LONG_VOWELS:
                seconds *= program.long_vowels
            if after and not is_vowel(after) and at + 2 < len(phones) and not is_vowel(phones[at + 2]):
                seconds *= 0.93  # closed syllable
            if final_syllable and not last:
                seconds *= program.word_final_length
        else:
            if phone in (before, after):
                seconds *= 0.78 * program.geminates
            elif (before and not is_vowel(before)) or (after and not is_vowel(after)):
                seconds *= 0.88
            if at == 0:
                seconds *= 1.08
        if last and final_syllable:
            seconds *= program.final_length if is_vowel(phone) else 1.0 + 0.3 * (program.final_length - 1.0)
        result.append(seconds * (1.0 + 0.12 * weight) * float(np.exp(rng.normal(0.0, 0.045))))
    return result


def plan(sentence: Sentence, program: Program, rng: np.random.Generator, *, rate: float = 1.0) -> list[Sound]:
    """Phones with durations, pitch and gain for a whole text; pauses inside, none before or after."""
    sounds: list[Sound] = []
    phrases = _phrases(sentence)
    tempo = 1.05 * program.rate * rate  # the table above is a shade slow for talk
    for number, phrase in enumerate(phrases):
        mark = phrase[-1].pause
        strong = _emphasised(phrase, rng)
        asks = mark == "?"
        yes_no = asks and phrase[strong].phones[0] not in _WH_STARTS
        total = sum(len(word.syllables) for word in phrase)
        count = 0
        reset = -0.6 * min(number, 3)  # each later phrase of an utterance starts a little lower
        for place, word in enumerate(phrase):
            last = place == len(phrase) - 1
            weight = program.emphasis / 4.0 if place == strong else 0.0
            durations = _durations(word, program, last, weight, rng)
            spans = word.syllables
            for syllable, (begin, end) in enumerate(spans):
                line = program.pitch + reset + program.declination * (count / max(total - 1, 1) - 0.4)
                inside = syllable / max(len(spans) - 1, 1)
                shape = inside if program.peak_at >= 0.99 else 1.0 - abs(inside - program.peak_at)
                move = program.word_rise * (shape - 0.35)
                if last and mark != ",":
                    move *= 0.6
                if place == strong:
                    move += program.emphasis * (1.0 - 0.6 * inside)
                if count % 2:
                    move += program.bounce
                height = line + program.range * move
                closing = last and syllable == len(spans) - 1
                for at in range(begin, end):
                    sound = Sound(word.phones[at], durations[at] / tempo, [])
                    if is_vowel(sound.symbol) or begin + 1 == end:
                        wobble = rng.normal(0.0, program.jitter, 2)
                        if closing:
                            sound.pitch = _boundary(height, mark, yes_no, program)
                        else:
                            sound.pitch = [
                                (0.25, height + wobble[0]),
                                (0.8, height + 0.15 * program.word_rise + wobble[1]),
                            ]
                    sound.gain_db = _gain(program, place, len(phrase), count / max(total - 1, 1), place == strong)
                    sounds.append(sound)
                count += 1
            if last:
                if number < len(phrases) - 1:
                    pause = _PAUSES[mark] * program.pauses * float(np.exp(rng.normal(0.0, 0.15))) / rate**0.7
                    sounds.append(Sound(SILENCE, max(pause, 0.05), []))
            elif program.word_gaps > 0.0 and rng.random() < 0.4:
                gap = program.word_gaps * float(rng.uniform(0.5, 1.3))
                if gap > 0.05:
                    sounds.append(Sound(SILENCE, gap / rate**0.7, []))
    return sounds


def _boundary(height: float, mark: Break, yes_no: bool, program: Program) -> list[tuple[float, float]]:
    """The last syllable of a phrase."""
    if mark == "?":
        up = program.question * program.range
        if yes_no:
            return [(0.1, height), (0.55, height + up), (0.95, height + 0.35 * up)]
        return [(0.1, height + 0.3 * up), (0.95, height - 1.5)]
    if mark == ",":
        up = 1.2 * program.range
        return [(0.1, height), (0.9, height + up + max(program.final_curl, 0.0))]
    down = program.final * (1.0 if mark != "…" else 0.3)
    return [(0.1, height), (0.6, height + down), (0.97, height + down + program.final_curl)]


def _gain(program: Program, place: int, words: int, progress: float, strong: bool) -> float:
    swell = program.swell_db * (0.5 - progress**2)
    attack = program.attack_db if place == 0 and words > 1 else 0.0
    return swell + attack + (0.6 * program.emphasis if strong else 0.0)
