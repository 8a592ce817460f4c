"""Datasets: what an ingest left becomes hours and plots; what people said becomes data only with their leave."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.training import selectors, services
from apps.training.models import Dataset, Job
from apps.training.paths import dataset_folder
from apps.training.services.datasets import histogram
from apps.voice.errors import ServiceError
from apps.voice.models import Turn
from apps.voice.services import turn_record
from tests.support.factories import draft, open_session
from tests.training.conftest import write_tone

pytestmark = pytest.mark.django_db


def test_a_manifest_becomes_figures(dataset: Dataset) -> None:
    assert (dataset.status, dataset.clips, dataset.seconds, dataset.speakers) == ("ready", 2, 3.0, 1)
    assert sum(dataset.stats["lengths"]["counts"]) == 2
    assert len(dataset.manifest_sha256) == 64
    page = selectors.dataset_manifest(dataset_id=dataset.pk, start=1, count=5)
    assert [row["audio"] for row in page.rows] == ["audio/1.flac"]
    assert page.total == 2


def test_a_histogram_counts_what_lies_outside_too() -> None:
    assert histogram([-5.0, 0.5, 1.5, 99.0], [0.0, 1.0, 2.0])["counts"] == [2.0, 2.0]


@pytest.mark.parametrize("content", ["", "{}\n", "nonsense\n", '{"audio": "a.flac", "seconds": NaN}\n'])
def test_a_manifest_that_is_none(dataset: Dataset, content: str) -> None:
    (dataset_folder(dataset.pk) / "manifest.jsonl").write_text(content)
    with pytest.raises(ServiceError) as error:
        services.dataset_ingested(dataset_id=dataset.pk)
    assert error.value.code == "bad_manifest"


def test_clips_are_heard_from_within_the_dataset_only(dataset: Dataset) -> None:
    def path(name: str) -> Any:
        return selectors.dataset_audio_path(dataset_id=dataset.pk, name=name)

    assert path("audio/0.flac") is not None
    outside = dataset_folder(dataset.pk) / "secret"
    outside.write_text("no clip")
    (dataset_folder(dataset.pk) / "audio" / "link.flac").symlink_to(outside)
    for name in ("manifest.jsonl", "../secret", "audio/../secret", "/etc/passwd", "audio/link.flac", "audio", ""):
        assert path(name) is None


def test_an_ingest_that_fails_leaves_the_dataset_open_to_another_try(dataset: Dataset) -> None:
    Dataset.objects.filter(pk=dataset.pk).update(files=2)
    job = services.dataset_ingest(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (job.kind, dataset.status) == ("ingest", "ingesting")
    with pytest.raises(ServiceError):
        services.dataset_delete(dataset_id=dataset.pk)
    services.job_fell_through(job=job, message="no clip could be used")
    dataset.refresh_from_db()
    assert (dataset.status, dataset.message) == ("failed", "no clip could be used")


def test_deleted_with_its_recordings(dataset: Dataset) -> None:
    services.dataset_delete(dataset_id=dataset.pk)
    assert not Dataset.objects.exists()
    assert not dataset_folder(dataset.pk).exists()


def test_a_job_without_its_dataset_is_refused(dataset: Dataset) -> None:
    for datasets in ([], [services.dataset_create(name="never ingested")]):
        with pytest.raises(ServiceError) as error:
            services.job_create(kind="train_codec", name="x", datasets=datasets)
        assert error.value.code == "no_dataset"
    assert not Job.objects.exists()


# -- from conversation to data --------------------------------------------------------------------------------------


def said(*, good: bool = True, consent: bool = True, role: str = "user") -> Turn:
    guest_key = "one who agrees" if consent else "one who does not"
    opened = open_session(guest_key=guest_key)
    turn = turn_record(session_id=opened.session.pk, draft=draft(role=role))
    if consent:
        services.consent_give(user_id=None, guest_key=guest_key)
    Turn.objects.filter(pk=turn.pk).update(mark="good" if good else "")
    return Turn.objects.get(pk=turn.pk)


@pytest.fixture
def talks() -> Dataset:
    return services.dataset_create(name="Talks", source="conversation")


@pytest.mark.django_db(transaction=True)
def test_good_turns_become_data_with_their_lineage(talks: Dataset) -> None:
    turns = [said(), said()]
    ids = [turn.pk for turn in turns]
    assert list(selectors.datasets_open_for_turns()) == [talks]
    assert services.dataset_add_turns(dataset=talks, turn_ids=ids) == 2
    assert services.dataset_add_turns(dataset=talks, turn_ids=ids) == 0  # each once
    talks.refresh_from_db()
    assert talks.files == 2
    assert talks.lineage["turns"][str(ids[0])]["session"] == str(turns[0].session_id)
    copied = dataset_folder(talks.pk) / "uploads" / f"session-{turns[0].session_id}" / f"{ids[0]}.flac"
    with turns[0].audio.open("rb") as original:
        assert copied.read_bytes() == original.read()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lacking", [{"good": False}, {"consent": False}, {"role": "assistant"}])
def test_without_mark_consent_or_a_person_nothing_is_taken(talks: Dataset, lacking: dict[str, Any]) -> None:
    ids = [said().pk, said(**lacking).pk]
    with pytest.raises(ServiceError) as error:
        services.dataset_add_turns(dataset=talks, turn_ids=ids)
    assert error.value.code == "no_consent"
    talks.refresh_from_db()
    assert (talks.files, talks.lineage) == (0, {})


@pytest.mark.django_db(transaction=True)
def test_who_takes_the_consent_back_takes_the_words_back(talks: Dataset) -> None:
    turn = said()
    services.dataset_add_turns(dataset=talks, turn_ids=[turn.pk])
    folder = dataset_folder(talks.pk)
    write_tone(folder / "audio" / "0.flac")  # as an ingest left it
    assert services.consent_withdraw(user_id=None, guest_key="one who agrees") == 1
    talks.refresh_from_db()
    assert (talks.files, talks.lineage["turns"], talks.status) == (0, {}, "open")
    assert not list(folder.rglob("*.flac"))
    with pytest.raises(ServiceError):
        services.dataset_add_turns(dataset=talks, turn_ids=[turn.pk])


def test_the_switch_on_the_talk_page(client: Client) -> None:
    client.get("/")  # a guest gets a key there
    address = reverse("training-consent")
    assert client.post(address, {"given": "true"}).json() == {"given": True}
    assert 'name="given" value="true" checked' in client.get("/").content.decode()
    assert client.post(address, {}).json() == {"given": False}
    assert 'name="given" value="true" checked' not in client.get("/").content.decode()


def test_nobody_cannot_agree(client: Client) -> None:
    assert client.post(reverse("training-consent"), {"given": "true"}).status_code == 400


def test_turns_do_not_mix_with_uploads(dataset: Dataset) -> None:
    with pytest.raises(ServiceError) as error:
        services.dataset_add_turns(dataset=dataset, turn_ids=[])
    assert error.value.code == "dataset_closed"
