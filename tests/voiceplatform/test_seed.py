"""`manage.py seed`: what a new installation begins with, any number of times."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.speakers.models import Emotion, Speaker

pytestmark = pytest.mark.django_db


def seed() -> str:
    out = io.StringIO()
    call_command("seed", stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def no_weights(settings: Any, tmp_path: Path) -> Path:
    settings.VOICE_WEIGHTS_DIR = tmp_path
    return tmp_path


def test_four_voices_and_nine_emotions_by_their_telugu_names() -> None:
    assert seed() == "seed: 4 speakers, 9 emotions, 0 model versions added\n"
    names = Speaker.objects.filter(is_published=True).values_list("name_en", "name_te", "gender")
    assert list(names) == [
        ("Arjun", "అర్జున్", "male"),
        ("Ravi", "రవి", "male"),
        ("Priya", "ప్రియ", "female"),
        ("Lakshmi", "లక్ష్మి", "female"),
    ]
    assert list(Emotion.objects.filter(is_published=True).values_list("slug", flat=True)) == [
        "neutral",
        "happy",
        "laugh",
        "excited",
        "empathy",
        "surprise",
        "thinking",
        "telugu_heavy",
        "telugu_mild",
    ]
    assert not Emotion.objects.filter(emoji="").exists()


def test_an_operators_edits_survive() -> None:
    seed()
    Speaker.objects.filter(slug="ravi").update(name_en="Ravi Kumar", is_published=False)
    assert seed() == "seed: 0 speakers, 0 emotions, 0 model versions added\n"
    ravi = Speaker.objects.get(slug="ravi")
    assert (ravi.name_en, ravi.is_published) == ("Ravi Kumar", False)


def test_broken_weights_are_one_line(no_weights: Path) -> None:
    (no_weights / "codec-hifi.json").write_text("{")
    with pytest.raises(CommandError, match=r"codec-hifi\.json cannot be read"):
        seed()
