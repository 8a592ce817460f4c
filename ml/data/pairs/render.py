"""One clip of a plan to sound: the performance, silence around it, then room and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE, read_audio
from ml.data.pairs.schema import ClipSpec
from ml.data.pairs.sources import Sources, decoded
from ml.data.synthesis import PHONES, Controls, TimedPhone, ask, random_talker, speak, vary

_SILENCE = PHONES[0]
_LONGEST = 8.0
"""Seconds kept of a human recording."""
_NOISE_SECONDS = (1.2, 4.0)


@dataclass(frozen=True, slots=True)
class RenderedClip:
    """Sound of one clip and what is known of it."""

    audio: NDArray[np.float32]
    """[T] at 16 kHz in [-1, 1]."""
    phones: tuple[TimedPhone, ...]
    speech: tuple[float, float]
    """Seconds at which speech begins and ends."""
    engine: str


def render_clip(spec: ClipSpec, sources: Sources) -> RenderedClip:
    """Make one clip; equal arguments give equal samples. Raises SynthesisError, AudioError."""
    if spec.kind == "voice":
        pitch, energy, rate, accent, intensity = spec.controls
        controls = Controls(pitch_semitones=pitch, energy_db=energy, rate=rate, accent=accent, intensity=intensity)
        clip = speak(spec.text, voice=spec.speaker, emotion=spec.emotion, controls=controls, seed=spec.seed)
        made = RenderedClip(clip.audio, clip.phones, _bounds(clip.phones, len(clip.audio)), clip.engine)
    elif spec.kind == "talker":
        clip = ask(spec.text, talker=random_talker(spec.talker), seed=spec.seed)
        made = RenderedClip(clip.audio, clip.phones, _bounds(clip.phones, len(clip.audio)), clip.engine)
    else:
        made = _recorded(spec, sources)
    made = _padded(made, spec.lead, spec.tail)
    if spec.variation is None:
        return made
    heard = vary(
        made.audio,
        seed=spec.variation,
        noises=decoded(sources.noises) or None,
        rooms=decoded(sources.rooms) or None,
    )
    return RenderedClip(heard, made.phones, made.speech, made.engine)


def _recorded(spec: ClipSpec, sources: Sources) -> RenderedClip:
    audio = read_audio(sources.paths[spec.source])
    rng = np.random.default_rng(spec.seed)
    if spec.kind == "noise":
        wanted = round(float(rng.uniform(*_NOISE_SECONDS)) * SAMPLE_RATE)
        start = int(rng.integers(max(1, len(audio) - wanted)))
        audio = audio[start : start + wanted]
        level = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
        audio = audio * np.float32(10 ** (rng.uniform(-45.0, -22.0) / 20) / max(level, 1e-6))
        return RenderedClip(np.clip(audio, -1, 1).astype(np.float32), (), (0.0, 0.0), "noise")
    audio = audio[: round(_LONGEST * SAMPLE_RATE)]
    return RenderedClip(audio, (), (0.0, len(audio) / SAMPLE_RATE), "human")


def _bounds(phones: tuple[TimedPhone, ...], samples: int) -> tuple[float, float]:
    spoken = [phone for phone in phones if phone.symbol != _SILENCE]
    return (spoken[0].start, spoken[-1].end) if spoken else (0.0, samples / SAMPLE_RATE)


def _padded(clip: RenderedClip, lead: float, tail: float) -> RenderedClip:
    """Silence put around; the phones' pauses at both ends grow with it."""
    if not lead and not tail:
        return clip
    audio = np.pad(clip.audio, (round(lead * SAMPLE_RATE), round(tail * SAMPLE_RATE)))
    phones = [TimedPhone(p.symbol, round(p.start + lead, 4), round(p.end + lead, 4)) for p in clip.phones]
    if phones:
        total = round(len(audio) / SAMPLE_RATE, 4)
        if phones[0].symbol == _SILENCE:
            phones[0] = TimedPhone(_SILENCE, 0.0, phones[0].end)
        else:
            phones.insert(0, TimedPhone(_SILENCE, 0.0, phones[0].start))
        if phones[-1].symbol == _SILENCE:
            phones[-1] = TimedPhone(_SILENCE, phones[-1].start, total)
        else:
            phones.append(TimedPhone(_SILENCE, phones[-1].end, total))
    begin, end = clip.speech
    return RenderedClip(audio, tuple(phones), (round(begin + lead, 4), round(end + lead, 4)), clip.engine)
