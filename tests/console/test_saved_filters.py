"""An operator keeps a list's filters under a name: their own, and only of lists they may see."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.console.models import SavedFilter
from tests.support.factories import make_role, make_user

pytestmark = pytest.mark.django_db

KEEP, REMOVE = reverse("admin:console_savedfilter_keep"), reverse("admin:console_savedfilter_remove")
TURNS = reverse("admin:voice_turn_changelist")


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_role("Viewer"))
    return client


def test_kept_shown_replaced_removed(viewer: Client) -> None:
    form = {"page": "voice.turn", "name": "slow ones", "query": "latency=late&p=3"}
    assert viewer.post(KEEP, form)["Location"] == f"{TURNS}?latency=late"  # the page number is not kept
    assert "slow ones" in viewer.get(TURNS).text
    viewer.post(KEEP, form | {"query": "latency=slow"})
    kept = SavedFilter.objects.get()
    assert kept.query == "latency=slow"
    assert viewer.post(REMOVE, {"page": "voice.turn", "id": kept.pk}).status_code == 302
    assert not SavedFilter.objects.exists()


def test_nothing_to_keep_or_no_name_is_explained(viewer: Client) -> None:
    for form in ({"name": "all", "query": ""}, {"name": "all", "query": "p=2"}, {"name": " ", "query": "mark=good"}):
        response = viewer.post(KEEP, {"page": "voice.turn", **form}, follow=True)
        assert [message.level_tag for message in response.context["messages"]] == ["error"]
    assert not SavedFilter.objects.exists()


def test_others_filters_are_neither_shown_nor_removed(viewer: Client) -> None:
    theirs = SavedFilter.objects.create(user=make_user("sita"), page="voice.turn", name="theirs", query="mark=good")
    assert "theirs" not in viewer.get(TURNS).text
    assert viewer.post(REMOVE, {"page": "voice.turn", "id": theirs.pk}).status_code == 404


def test_lists_one_may_not_see_and_lists_that_are_none(viewer: Client) -> None:
    form = {"name": "x", "query": "q=a"}
    assert viewer.post(KEEP, form | {"page": "auth.user"}).status_code == 403
    for page in ("", "voice.nothing", "nonsense", "contenttypes.contenttype"):
        assert viewer.post(KEEP, form | {"page": page}).status_code == 404
    assert viewer.get(KEEP).status_code == 405
