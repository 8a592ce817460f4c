"""Voices to choose from, and a folder of this test's own for recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.speakers.models import Emotion, Speaker
from tests.support.factories import make_emotion, make_speaker


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    """MEDIA_ROOT of this test."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def speaker(db: None) -> Speaker:
    return make_speaker("priya", order=1)


@pytest.fixture
def emotion(db: None) -> Emotion:
    return make_emotion("neutral", order=1)
