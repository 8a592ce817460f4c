"""Rows for tests, made through the services wherever there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.contrib.auth.models import Group, User

from apps.speakers.models import Emotion, Speaker
from apps.speakers.services import emotion_save, speaker_save
from apps.voice.services import OpenedSession, TurnDraft, session_open

GUEST = "guest-key-of-the-tests"


def make_speaker(slug: str = "priya", **changes: Any) -> Speaker:
    fields = {"name_te": "ప్రియ", "name_en": slug.title(), "gender": "female", "is_published": True, **changes}
    return speaker_save(speaker=Speaker(slug=slug, **fields))


def make_emotion(slug: str = "happy", **changes: Any) -> Emotion:
    fields = {"name_te": "సంతోషం", "name_en": slug.title(), "emoji": "😊", "is_published": True, **changes}
    return emotion_save(emotion=Emotion(slug=slug, **fields))


def make_user(username: str = "sita", **changes: Any) -> User:
    return User.objects.create_user(username=username, password="a-long-passphrase", **changes)


def make_role(role: str) -> User:
    """A user in that role, named after it."""
    user = make_user(role.lower())
    user.groups.add(Group.objects.get(name=role))
    user.refresh_from_db()
    return user


def open_session(**changes: Any) -> OpenedSession:
    """A guest's live session, unless said otherwise."""
    wishes: dict[str, Any] = {
        "user": None,
        "guest_key": "" if changes.get("user") else GUEST,
        "mode": "reconstruct",
        "turn_taking": "stream",
        "speaker": None,
        "emotion": None,
        "quantizers": 8,
        "client": "tests",
        **changes,
    }
    return session_open(**wishes)


def tone(duration_ms: int, frequency_hz: float = 220.0) -> bytes:
    """PCM16LE, 16 kHz, mono."""
    time = np.arange(16 * duration_ms) / 16_000
    return (8000 * np.sin(2 * np.pi * frequency_hz * time)).astype("<i2").tobytes()


def draft(**changes: Any) -> TurnDraft:
    """A user's turn of 500 ms with recordings and codes, unless said otherwise."""
    fields: dict[str, Any] = {
        "role": "user",
        "started_ms": 1200,
        "duration_ms": 500,
        "pcm": tone(500),
        "output_pcm": tone(500, 330.0),
        "codes": np.arange(8 * 100, dtype=np.uint16).reshape(8, 100),
        "latency": {"queue_ms": 0.5, "encode_ms": 2.25, "decode_ms": 1.75},
        "model_versions": {"codec": "hifi@0123456789ab"},
        **changes,
    }
    return TurnDraft(**fields)
