"""Operators edit voices and emotions, through the same checks, and cannot break what clients know."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.speakers.models import Emotion, Speaker
from tests.support.factories import make_emotion, make_speaker, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("page", ["speaker", "emotion"])
def test_lists_cost_the_same_for_few_and_many_rows(
    operator: Client, page: str, django_assert_max_num_queries: Any
) -> None:
    address = reverse(f"admin:speakers_{page}_changelist")
    make_speaker("one"), make_emotion("one")
    with django_assert_max_num_queries(8) as few:
        assert operator.get(address).status_code == 200
    for number in range(12):
        make_speaker(f"s{number}"), make_emotion(f"e{number}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert operator.get(address, {"q": ""}).context["cl"].result_count == 13


def form(**changes: Any) -> dict[str, Any]:
    return {
        "slug": "arjun",
        "name_te": "అర్జున్",
        "name_en": "Arjun",
        "description": "young, lively",
        "gender": "male",
        "accent": "standard",
        "order": 1,
        "is_published": "on",
        "pitch_semitones": 0,
        "energy_db": 0,
        "rate": 1,
        **changes,
    }


def test_a_voice_is_added_and_changed_but_keeps_its_slug(operator: Client) -> None:
    operator.post(reverse("admin:speakers_speaker_add"), form())
    arjun = Speaker.objects.get(slug="arjun")
    address = reverse("admin:speakers_speaker_change", args=[arjun.pk])
    assert operator.post(address, form(slug="other", rate=1.2)).status_code == 302
    arjun.refresh_from_db()
    assert (arjun.slug, arjun.rate) == ("arjun", 1.2)


def test_a_value_out_of_range_is_explained(operator: Client) -> None:
    response = operator.post(reverse("admin:speakers_speaker_add"), form(rate=9))
    assert response.status_code == 200
    assert "rate" in response.context["adminform"].form.errors
    assert not Speaker.objects.exists()


def test_voices_are_withdrawn_and_published_not_deleted(operator: Client) -> None:
    speaker, emotion = make_speaker(), make_emotion()
    for page, row, model in [("speaker", speaker, Speaker), ("emotion", emotion, Emotion)]:
        address = reverse(f"admin:speakers_{page}_changelist")
        for action, published in [("withdraw", False), ("publish", True)]:
            operator.post(address, {"action": action, "_selected_action": [row.pk]})
            assert model._default_manager.get().is_published is published
        assert operator.post(reverse(f"admin:speakers_{page}_delete", args=[row.pk])).status_code == 403
