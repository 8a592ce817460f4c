"""The dashboard's pages: who sees them, what their forms take, what their scripts ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.training import schema, services
from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import dataset_folder, run_folder, training_dir
from apps.training.views import start
from tests.support.factories import make_user
from tests.training.conftest import write_tone

pytestmark = pytest.mark.django_db
VIEW = ("view_job", "view_dataset", "view_modelversion")


@pytest.fixture
def as_person(client: Client) -> Callable[..., Client]:
    """The client, logged in as somebody with these permissions of the training app."""

    def make(*permissions: str) -> Client:
        user = make_user()
        found = Permission.objects.filter(content_type__app_label="training", codename__in=permissions)
        user.user_permissions.set(found)
        client.force_login(user)
        return client

    return make


@pytest.fixture(scope="module")
def exported_schema() -> str:
    """What the trainers say about themselves, asked once: it takes seconds."""
    return json.dumps(schema._schema())


@pytest.fixture
def known(exported_schema: str) -> None:
    folder = training_dir()
    folder.mkdir(parents=True)
    (folder / f"schema-{schema._sources_key()}.json").write_text(exported_schema)


@pytest.fixture
def finished(dataset: Dataset) -> Job:
    """A training that is over, with curves, a sample and a log."""
    config = {"recipe": "tiny", "values": {"steps": 20, "codec": {"hop": 80}}}
    job = services.job_create(kind="train_codec", name="A finished one", datasets=[dataset], config=config)
    Job.objects.filter(pk=job.pk).update(status="succeeded", step=20, metrics={"loss": 0.25}, artefacts=["log.txt"])
    folder = run_folder(job.pk)
    write_tone(folder / "samples" / "target" / "0.flac")
    write_tone(folder / "samples" / "step-00000020" / "0.flac")
    (folder / "metrics.jsonl").write_text('{"step": 10, "loss": 0.5}\n{"step": 20, "loss": 0.25}\n')
    (folder / "log.txt").write_text("starting\nfinished at step 20\n")
    job.refresh_from_db()
    return job


def all_pages(job: Job) -> list[str]:
    dataset, version = job.datasets.get(), ModelVersion.objects.get()
    return [
        reverse("training:overview"),
        reverse("training:overview-live"),
        reverse("training:datasets"),
        reverse("training:dataset", args=[dataset.pk]),
        reverse("training:dataset-live", args=[dataset.pk]),
        reverse("training:dataset-audio", args=[dataset.pk, "audio/0.flac"]),
        reverse("training:jobs"),
        reverse("training:job", args=[job.pk]),
        reverse("training:job-live", args=[job.pk]),
        reverse("training:job-samples", args=[job.pk]),
        reverse("training:job-metrics", args=[job.pk]),
        reverse("training:job-file", args=[job.pk, "log.txt"]),
        f"{reverse('training:compare')}?job={job.pk}&job={job.pk}",
        reverse("training:models"),
        reverse("training:model", args=[version.pk]),
    ]


@pytest.fixture
def version(finished: Job) -> ModelVersion:
    return ModelVersion.objects.create(
        kind="codec", preset="hifi", version="1", file="x/codec-hifi.safetensors", sha256="a" * 64, job=finished
    )


def test_everybody_else_is_sent_away(client: Client, finished: Job, version: ModelVersion) -> None:
    for page in all_pages(finished):
        assert client.get(page).status_code == 302, page
    client.force_login(make_user())
    for page in all_pages(finished):
        assert client.get(page).status_code == 403, page


@pytest.mark.parametrize("language", ["te", "en"])
def test_a_viewer_sees_every_page_and_no_button(
    as_person: Callable[..., Client], finished: Job, version: ModelVersion, language: str
) -> None:
    client = as_person(*VIEW)
    client.cookies["django_language"] = language
    for page in all_pages(finished):
        answer = client.get(page)
        assert answer.status_code == 200, page
        if "html" in answer["Content-Type"]:
            text = answer.content.decode()
            assert "data-action=" not in text, page
            assert not re.search(r"<[^>]+\sstyle=", text), f"{page}: the CSP refuses inline styles"
            assert not re.search(r"<[^>]+\son\w+=", text), f"{page}: and inline scripts"


def test_actions_ask_for_their_permission(
    as_person: Callable[..., Client], finished: Job, version: ModelVersion
) -> None:
    client = as_person(*VIEW)
    dataset = finished.datasets.get()
    for name, key in (
        ("job-cancel", finished.pk),
        ("job-resume", finished.pk),
        ("job-delete", finished.pk),
        ("job-export", finished.pk),
        ("job-hear", finished.pk),
        ("dataset-upload", dataset.pk),
        ("dataset-ingest", dataset.pk),
        ("dataset-change", dataset.pk),
        ("dataset-delete", dataset.pk),
        ("model-promote", version.pk),
        ("model-evaluate", version.pk),
    ):
        address = reverse(f"training:{name}", args=[key])
        assert client.post(address).status_code == 403, name
        assert client.get(address).status_code == 405, name
    assert client.get(reverse("training:job-new")).status_code == 403


def test_anything_may_be_sent(as_person: Callable[..., Client], finished: Job, version: ModelVersion) -> None:
    client = as_person(*VIEW, "add_job", "change_dataset")
    for odd in ("", "x", "²", "1e9", "../..", "0" * 300):
        assert client.get(reverse("training:compare"), {"job": odd}).status_code == 200
        assert client.get(reverse("training:jobs"), {"page": odd, "kind": odd, "status": odd}).status_code == 200
        dataset = reverse("training:dataset", args=[finished.datasets.get().pk])
        assert client.get(dataset, {"start": odd}).status_code == 200
        assert client.post(reverse("training:job-hear", args=[finished.pk]), {"version": odd}).status_code == 302
        assert client.post(reverse("training:model-evaluate", args=[version.pk]), {"dataset": odd}).status_code == 302
        assert client.post(reverse("training:dataset-pairs"), {"size": odd}).status_code == 403


def test_curves_as_numbers(as_person: Callable[..., Client], finished: Job) -> None:
    answer = as_person(*VIEW).get(reverse("training:job-metrics", args=[finished.pk])).json()
    assert answer["columns"] == {"step": [10.0, 20.0], "loss": [0.5, 0.25]}
    assert answer["over"] is True


def test_the_last_look_at_a_job_that_ended_loads_the_page(as_person: Callable[..., Client], finished: Job) -> None:
    answer = as_person(*VIEW).get(reverse("training:job-live", args=[finished.pk]))
    assert answer["HX-Refresh"] == "true"


def test_a_sample_is_served_in_ranges(as_person: Callable[..., Client], finished: Job) -> None:
    client = as_person(*VIEW)
    address = reverse("training:job-file", args=[finished.pk, "samples/target/0.flac"])
    assert address in client.get(reverse("training:job", args=[finished.pk])).content.decode()
    answer = client.get(address, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, b"".join(answer)) == (206, b"fLaC")  # type: ignore[arg-type]
    assert client.get(reverse("training:job-file", args=[finished.pk, "../../x"])).status_code == 404


def test_files_are_sent_one_by_one_and_ingested(as_person: Callable[..., Client], tmp_path: Path) -> None:
    client = as_person(*VIEW, "add_dataset", "change_dataset")
    client.post(reverse("training:datasets"), {"name": "Voices", "licence": "CC0", "description": ""})
    dataset = Dataset.objects.get(name="Voices")
    address = reverse("training:dataset-upload", args=[dataset.pk])
    tone = write_tone(tmp_path / "t.wav").read_bytes()
    json_please = {"Accept": "application/json"}
    sent = client.post(address, {"files": SimpleUploadedFile("a.wav", tone)}, headers=json_please)
    assert (sent.status_code, sent.json()["files"]) == (201, 1)
    bad = client.post(address, {"files": SimpleUploadedFile("b.wav", b"no")}, headers=json_please)
    assert (bad.status_code, bad.json()["code"]) == (400, "not_audio")
    plain = client.post(address, {"files": SimpleUploadedFile("c.wav", tone)})
    assert plain.status_code == 302
    assert len(list((dataset_folder(dataset.pk) / "uploads").iterdir())) == 2
    client.post(reverse("training:dataset-ingest", args=[dataset.pk]))
    assert Job.objects.get(kind="ingest").datasets.get() == dataset
    page = client.get(reverse("training:dataset", args=[dataset.pk])).content.decode()
    assert reverse("training:dataset-live", args=[dataset.pk]) in page


def test_what_a_service_refuses_is_said_on_the_page(as_person: Callable[..., Client], finished: Job) -> None:
    client = as_person(*VIEW, "change_job")
    client.cookies["django_language"] = "en"
    answer = client.post(reverse("training:job-cancel", args=[finished.pk]), follow=True)
    assert "this job is over already: resume or clone it" in answer.content.decode()


# -- a new training ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("known")
class TestNewTraining:
    @pytest.fixture
    def trainer(self, as_person: Callable[..., Client]) -> Client:
        client = as_person(*VIEW, "add_job")
        client.cookies["django_language"] = "en"
        return client

    def test_the_form_is_the_configuration(self, trainer: Client, dataset: Dataset) -> None:
        page = trainer.get(reverse("training:job-new"), {"kind": "codec", "recipe": "tiny"}).content.decode()
        known = schema.trainers()["codec"]
        for field in known.fields:
            if field.name in ("name", "init") or field.group == "discriminators":
                assert f'name="set:{field.name}"' not in page, field.name
                continue
            assert f'name="set:{field.name}"' in page, field.name
            assert field.help, f"{field.name} has no docstring in its config class"
        assert re.search(r'name="set:steps" value="60"', page)
        assert re.search(r'name="set:codec.encoder_dilations" value="1, 2"', page)
        assert str(dataset.pk) in page

    def test_what_cannot_be_read_is_said_beside_the_field(self, trainer: Client, dataset: Dataset) -> None:
        form = {"kind": "codec", "recipe": "tiny", "dataset": dataset.pk, "set:steps": "many", "set:batch": "4"}
        answer = trainer.post(reverse("training:job-new"), form)
        page = answer.content.decode()
        assert answer.status_code == 422
        assert 'id="error-steps"' in page
        assert re.search(r'name="set:steps" value="many"', page)  # what was typed is still there
        assert re.search(r'name="set:batch" value="4"', page)
        assert not Job.objects.exists()

    def test_a_configuration_that_cannot_work_is_refused_in_the_trainers_words(
        self, trainer: Client, dataset: Dataset
    ) -> None:
        form = {"kind": "codec", "recipe": "tiny", "dataset": dataset.pk, "set:crop_seconds": "0.3333"}
        answer = trainer.post(reverse("training:job-new"), form)
        assert answer.status_code == 422
        assert "is not a whole number of 80-sample hops" in answer.content.decode()
        assert 'id="error-crop_seconds"' in answer.content.decode()
        assert not Job.objects.exists()

    def test_started_with_what_was_typed_and_cloned(
        self, trainer: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(start, "check_config", lambda kind, values: values)  # asked for real in the test above
        form = {"kind": "codec", "recipe": "tiny", "dataset": dataset.pk, "set:steps": "40", "set:autocast": "false"}
        answer = trainer.post(reverse("training:job-new"), {**form, "name": "Mine"})
        job = Job.objects.get()
        assert answer["Location"] == reverse("training:job", args=[job.pk])
        assert (job.name, job.kind, job.total, job.status) == ("Mine", "train_codec", 40, "queued")
        assert job.config["values"]["steps"] == 40
        assert job.config["values"]["codec"]["hop"] == 80
        assert job.datasets.get() == dataset
        assert job.created_by == User.objects.get()
        page = trainer.get(reverse("training:job-new"), {"from": job.pk}).content.decode()
        assert re.search(r'name="set:steps" value="40"', page)
        trainer.post(reverse("training:job-new"), {**form, "from": job.pk, "set:steps": "50", "name": "Again"})
        again = Job.objects.get(name="Again")
        assert (again.parent, again.config["values"]["steps"]) == (job, 50)

    def test_without_a_dataset(self, trainer: Client) -> None:
        answer = trainer.post(reverse("training:job-new"), {"kind": "codec", "recipe": "tiny", "set:steps": "x"})
        assert answer.status_code == 422


def test_settings_that_differ(dataset: Dataset) -> None:
    from apps.training.selectors import config_differences

    def job(steps: int) -> Any:
        values = {"steps": steps, "loss": {"mel": 0.5}}
        return services.job_create(kind="train_codec", name="x", datasets=[dataset], config={"values": values})

    assert config_differences([job(10), job(20)]) == [("steps", ["10", "20"])]
