"""Voices and emotions: checked, published, seeded."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.speakers import selectors, services
from apps.speakers.models import Emotion, Speaker
from tests.support.factories import make_emotion, make_speaker

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "changes",
    [
        {"pitch_semitones": 12.1},
        {"energy_db": -12.1},
        {"rate": 0.4},
        {"rate": 2.1},
        {"gender": "robot"},
        {"accent": "martian"},
        {"slug": "not a slug"},
        {"name_te": ""},
    ],
    ids=str,
)
def test_a_speaker_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        make_speaker(**changes)
    assert set(caught.value.message_dict) == set(changes)
    assert not Speaker.objects.exists()


def test_the_database_refuses_it_too() -> None:
    speaker, emotion = make_speaker(), make_emotion()
    for rows, changes in [
        (Speaker.objects.filter(pk=speaker.pk), {"rate": 3.0}),
        (Speaker.objects.filter(pk=speaker.pk), {"pitch_semitones": -13.0}),
        (Speaker.objects.filter(pk=speaker.pk), {"energy_db": 13.0}),
        (Speaker.objects.filter(pk=speaker.pk), {"gender": "robot"}),
        (Emotion.objects.filter(pk=emotion.pk), {"default_intensity": 1.5}),
    ]:
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**changes)


def test_slugs_are_unique() -> None:
    make_speaker("priya")
    with pytest.raises(ValidationError):
        make_speaker("priya")


def test_publishing_counts_what_changed() -> None:
    make_speaker("priya"), make_speaker("ravi", is_published=False)
    make_emotion("happy")
    assert services.speakers_publish(speakers=Speaker.objects.all(), published=True) == 1
    assert selectors.speakers_published().count() == 2
    assert services.emotions_publish(emotions=Emotion.objects.all(), published=False) == 1
    assert not selectors.emotions_published().exists()


def test_only_published_ones_are_found() -> None:
    make_speaker("priya"), make_speaker("hidden", is_published=False)
    make_emotion("happy"), make_emotion("secret", is_published=False)
    assert selectors.speaker_published(slug="priya") is not None
    assert selectors.speaker_published(slug="hidden") is None
    assert selectors.emotion_published(slug="happy") is not None
    assert selectors.emotion_published(slug="secret") is None
    assert selectors.speaker_published(slug="nobody") is None


def test_seeding_adds_what_is_missing_and_touches_nothing_else() -> None:
    make_speaker("priya", name_en="Changed by the operator", is_published=False)
    rows = [
        {"slug": slug, "name_te": "పేరు", "name_en": slug, "gender": "female", "is_published": True}
        for slug in ("priya", "lakshmi")
    ]
    assert services.speakers_seed(rows=rows) == 1
    assert services.speakers_seed(rows=rows) == 0
    priya = Speaker.objects.get(slug="priya")
    assert (priya.name_en, priya.is_published) == ("Changed by the operator", False)
