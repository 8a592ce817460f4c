"""What a session's answers sound like, in the model's terms: speakers or blend, emotion, and all dials together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apps.speakers.models import Speaker
from apps.voice.inference_client import TalkOptions, Voice
from apps.voice.models import VoiceSession

MODEL_VOICES = ("arjun", "ravi", "priya", "lakshmi")
"""The voices of the models that there are; a server tells its own when a session is opened."""


def voice_of(session: VoiceSession, known: Sequence[str] = MODEL_VOICES) -> Voice:
    """The voice in force: the speaker's own dials, the emotion's by its intensity, and the session's.

    A speaker that no model was trained on (an operator's own) is spoken by the known voices of the same gender.
    """
    speaker, emotion = session.speaker, session.emotion
    default = emotion.default_intensity if emotion is not None else 1.0
    intensity = session.intensity if session.intensity is not None else default
    pitch, energy, rate = session.pitch_semitones, session.energy_db, session.rate
    accent = 0.0
    if speaker is not None:
        pitch, energy, rate = pitch + speaker.pitch_semitones, energy + speaker.energy_db, rate * speaker.rate
        accent = speaker.accent_strength
    if emotion is not None:
        pitch += emotion.pitch_semitones * intensity
        energy += emotion.energy_db * intensity
        rate *= 1.0 + (emotion.rate - 1.0) * intensity
        accent = max(accent, emotion.accent * intensity)
    return Voice(
        speakers=_weights(session, known),
        emotion=emotion.slug if emotion is not None else "neutral",
        intensity=intensity,
        pitch_semitones=_within(pitch, -24.0, 24.0),
        energy_db=_within(energy, -24.0, 24.0),
        rate=_within(rate, 0.25, 4.0),
        accent=session.accent if session.accent is not None else _within(accent, 0.0, 1.0),
    )


def talk_options(session: VoiceSession) -> TalkOptions:
    """How this session's conversation begins."""
    mode = session.turn_taking
    return TalkOptions(
        voice=voice_of(session),
        turn_taking="push" if mode == "push" else "turn" if mode == "turn" else "stream",
        endpoint_min_ms=session.endpoint_min_ms,
        endpoint_max_ms=session.endpoint_max_ms,
    )


def _weights(session: VoiceSession, known: Sequence[str]) -> Mapping[str, float]:
    shares: Mapping[str, float] = {session.speaker.slug: 1.0} if session.speaker is not None else {}
    if session.mix_speaker is not None and shares:
        shares = {session.mix_speaker.slug: 0.0, **dict.fromkeys(shares, 1.0 - session.mix_share)}
        shares[session.mix_speaker.slug] += session.mix_share
    if session.blend is not None and isinstance(session.blend.weights, dict):
        shares = session.blend.weights
    weights: dict[str, float] = {}
    for slug, share in shares.items():
        spoken_by = [slug] if slug in known else _alike(slug, known)
        for voice in spoken_by:
            weights[voice] = min(1.0, weights.get(voice, 0.0) + share / len(spoken_by))
    return weights


def _alike(slug: str, known: Sequence[str]) -> list[str]:
    gender = Speaker.objects.filter(slug=slug).values_list("gender", flat=True).first()
    same = list(Speaker.objects.filter(slug__in=known, gender=gender).values_list("slug", flat=True))
    return same or list(known)


def _within(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
