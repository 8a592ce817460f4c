"""Questions and answers of somebody's own: checked at once, kept with the dataset, spoken beside the corpus."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.training import kinds, services
from apps.training.models import Dataset, Job
from apps.training.paths import corpus_folder, run_folder, training_dir
from apps.voice.errors import ServiceError
from tests.ml.data.test_corpus import intent

pytestmark = pytest.mark.django_db


def shop(**changes: Any) -> str:
    """A topic file with one intent, as JSON, which is YAML too."""
    topic = {"topic": "my_shop", "title": {"te": "అంగడి", "en": "Shop"}, "intents": [intent("my_shop.open", 20)]}
    return json.dumps({**topic, **changes}, ensure_ascii=False)


def left_behind() -> list[str]:
    return [path.name for path in training_dir().glob("corpus-*")]


def test_they_go_with_the_dataset_and_to_the_renderer() -> None:
    job = services.dataset_make_pairs(name="Shop", size="tiny", topics={"my_shop.yaml": shop()})
    dataset = job.datasets.get()
    assert dataset.lineage == {"size": "tiny", "topics": ["my_shop.yaml"]}
    assert [path.name for path in corpus_folder(dataset.pk).iterdir()] == ["my_shop.yaml"]
    run_folder(job.pk).mkdir(parents=True, exist_ok=True)
    arguments = kinds.command_of(job).arguments
    assert arguments[arguments.index("--more") + 1] == str(corpus_folder(dataset.pk))
    assert left_behind() == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("my_shop.yaml", shop(intents=[]), "my_shop.yaml"),
        ("food.yaml", shop(topic="food"), "rename yours"),
        ("my_shop.yaml", "topic: [", "not readable as YAML"),
        ("../my_shop.yaml", shop(), "my_shop.yaml"),
        ("my_shop.yaml", "#" * 2_000_001, "2000000"),
    ],
    ids=["without intents", "a name that is taken", "no YAML", "a path", "too large"],
)
def test_what_cannot_be_spoken_is_refused_before_anything_is_made(name: str, text: str, words: str) -> None:
    with pytest.raises(ServiceError, match=words) as error:
        services.dataset_make_pairs(name="Shop", size="tiny", topics={name: text})
    assert error.value.code == "bad_corpus"
    assert not Dataset.objects.exists()
    assert not Job.objects.exists()
    assert left_behind() == []


def test_the_page_takes_files(admin_client: Client) -> None:
    file = SimpleUploadedFile("my_shop.yaml", shop().encode())
    answer = admin_client.post(reverse("training:dataset-pairs"), {"name": "Shop", "size": "tiny", "topics": file})
    assert answer.status_code == 302
    assert (corpus_folder(Dataset.objects.get().pk) / "my_shop.yaml").read_text(encoding="utf-8") == shop()


def test_a_program_sends_them_as_text_and_is_told_every_problem(admin_client: Client) -> None:
    url = reverse("api:dataset-pairs")
    body = {"name": "Shop", "size": "tiny", "topics": {"my_shop.yaml": shop()}}
    assert admin_client.post(url, body, content_type="application/json").status_code == 202
    wrong = {"a.yaml": shop(), "b.yaml": "topic: b"}
    refused = admin_client.post(url, {**body, "topics": wrong}, content_type="application/json")
    assert refused.status_code == 400
    told = json.dumps(refused.json(), ensure_ascii=False)
    assert "rename the file to my_shop.yaml" in told
    assert "b.yaml" in told
