"""Training by REST: what the pages do, for programs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.services import token_create
from apps.training import schema
from apps.training.api import jobs as jobs_api
from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import run_folder
from apps.training.schema import Field, Trainer
from apps.voice.errors import ServiceError
from tests.training.conftest import write_tone

pytestmark = pytest.mark.django_db
TINY = {"steps": 60, "name": "tiny", "loss": {"mel": 0.15}}


@pytest.fixture
def api(db: Any) -> APIClient:
    """A program of somebody who may do all."""
    cache.clear()
    user = User.objects.create_superuser("trainer", password="a-long-passphrase")
    expires_at = timezone.now() + timedelta(days=1)
    _row, secret = token_create(user=user, name="tests", scopes=["read", "train"], expires_at=expires_at)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One trainer with one recipe: what the real ones say is asked in test_pages."""
    fields = tuple(
        Field(name, kind, "help") for name, kind in (("steps", "int"), ("name", "text"), ("loss.mel", "float"))
    )
    known = {"codec": Trainer("codec", fields, {"tiny": TINY})}

    def check(kind: str, values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(values["steps"], int) or values["steps"] < 1:
            raise ServiceError("bad_config", "steps, batch and learning_rate must be positive", "change this setting")
        return values

    monkeypatch.setattr(jobs_api, "trainers", lambda: known)
    monkeypatch.setattr(jobs_api, "check_config", check)


@pytest.mark.usefixtures("trainer")
def test_a_training_is_started_once(api: APIClient, dataset: Dataset) -> None:
    body = {"kind": "train_codec", "recipe": "tiny", "datasets": [str(dataset.pk)], "settings": {"loss.mel": 0.3}}
    first = api.post("/api/v1/jobs", body, format="json", headers={"Idempotency-Key": "k1"})
    assert first.status_code == 201, first.content
    again = api.post("/api/v1/jobs", body, format="json", headers={"Idempotency-Key": "k1"})
    assert again.json()["id"] == first.json()["id"]
    job = Job.objects.get()
    assert job.config == {"recipe": "tiny", "values": {**TINY, "loss": {"mel": 0.3}}}
    assert api.get(first["Location"]).json()["status"] == "queued"


def test_pairs_and_an_ingest_are_started_once(api: APIClient, tmp_path: Path) -> None:
    pairs = {"name": "First pairs", "size": "tiny"}
    asked = [api.post("/api/v1/datasets/pairs", pairs, format="json", headers={"Idempotency-Key": "p"}) for _ in "12"]
    assert asked[0].json()["id"] == asked[1].json()["id"]
    assert Dataset.objects.count() == Job.objects.count() == 1
    made = api.post("/api/v1/datasets", {"name": "Mine"}, format="json").json()["id"]
    sound = SimpleUploadedFile("a.wav", write_tone(tmp_path / "a.wav").read_bytes())
    assert api.post(f"/api/v1/datasets/{made}/files", {"files": sound}, format="multipart").status_code == 201
    url, key = f"/api/v1/datasets/{made}/ingest", {"Idempotency-Key": "i"}
    assert api.post(url, headers=key).json()["id"] == api.post(url, headers=key).json()["id"]
    assert Job.objects.filter(kind="ingest").count() == 1


@pytest.mark.usefixtures("trainer")
def test_several_gpus_are_for_trainings_on_cuda(api: APIClient, dataset: Dataset, settings: Any) -> None:
    settings.VOICE_QUEUES = ["cpu", "gpu"]
    body = {"kind": "train_codec", "recipe": "tiny", "datasets": [str(dataset.pk)], "gpus": 2}
    refused = api.post("/api/v1/jobs", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_device")
    assert api.post("/api/v1/jobs", body | {"device": "cuda", "gpus": 99}, format="json").status_code == 400
    started = api.post("/api/v1/jobs", body | {"device": "cuda"}, format="json")
    assert (started.status_code, started.json()["queue"], started.json()["config"]["gpus"]) == (201, "gpu", 2)


@pytest.mark.usefixtures("trainer")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"steps": 0}}, "must be positive"),
        ({"settings": {"nonsense": 1}}, "no setting 'nonsense'"),
        ({"settings": {"init": "/etc/passwd"}}, "no setting 'init'"),
        ({"recipe": "none"}, "choose one of tiny"),
        ({"datasets": []}, "choose at least one"),
        ({"device": "cuda"}, "no worker for cuda"),
        ({"kind": "train_s2s"}, "no training of s2s"),
    ],
)
def test_what_cannot_work_is_said(api: APIClient, dataset: Dataset, change: dict[str, Any], words: str) -> None:
    body = {"kind": "train_codec", "recipe": "tiny", "datasets": [str(dataset.pk)], **change}
    answer = api.post("/api/v1/jobs", body, format="json", headers={"Accept-Language": "en"})
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert words in answer.json()["detail"] or "en" not in str(answer.headers.get("Content-Language"))
    assert not Job.objects.exists()


def test_recordings_are_sent_ingested_and_heard(api: APIClient, tmp_path: Path, dataset: Dataset) -> None:
    made = api.post("/api/v1/datasets", {"name": "By program", "licence": "CC0"}, format="json").json()
    tone = write_tone(tmp_path / "t.wav").read_bytes()
    files = [SimpleUploadedFile(f"{n}.wav", tone) for n in range(2)]
    sent = api.post(f"/api/v1/datasets/{made['id']}/files", {"files": files}, format="multipart")
    assert (sent.status_code, sent.json()["files"]) == (201, 2)
    assert api.post(f"/api/v1/datasets/{made['id']}/ingest").json()["kind"] == "ingest"
    assert api.post(f"/api/v1/datasets/{made['id']}/ingest").status_code == 409
    clips = api.get(f"/api/v1/datasets/{dataset.pk}/clips").json()
    assert clips["total"] == 2
    heard = api.get(f"/api/v1/datasets/{dataset.pk}/audio", {"name": clips["rows"][0]["audio"]})
    assert b"".join(heard)[:4] == b"fLaC"  # type: ignore[arg-type]
    assert api.delete(f"/api/v1/datasets/{dataset.pk}").status_code == 204


def test_a_job_is_watched_stopped_and_resumed(api: APIClient, dataset: Dataset) -> None:
    job = Job.objects.create(kind="train_codec", name="x", status="failed", step=20)
    folder = run_folder(job.pk)
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"step": 10, "loss": 0.5}\n')
    (folder / "log.txt").write_text("error: no\n")
    address = f"/api/v1/jobs/{job.pk}"
    assert api.get(f"{address}/metrics").json()["columns"] == {"step": [10.0], "loss": [0.5]}
    assert api.get(f"{address}/log").json()["lines"] == ["error: no"]
    assert b"".join(api.get(f"{address}/file", {"name": "log.txt"})) == b"error: no\n"  # type: ignore[arg-type]
    assert api.get(f"{address}/file", {"name": "../../secret"}).status_code == 404
    assert api.post(f"{address}/cancel").status_code == 409
    assert api.post(f"{address}/resume").json()["status"] == "queued"
    assert api.delete(address).status_code == 409
    assert api.get("/api/v1/jobs", {"status": "queued"}).json()["results"][0]["id"] == str(job.pk)


def test_an_evaluation_is_as_large_as_asked(api: APIClient, dataset: Dataset) -> None:
    version = ModelVersion.objects.create(kind="codec", preset="hifi", version="1", file="x", sha256="0" * 64)
    Dataset.objects.filter(pk=dataset.pk).update(status="ready")
    body = {"kind": "evaluate", "datasets": [str(dataset.pk)], "model_version": version.pk}
    made = api.post("/api/v1/jobs", body | {"limit": 3}, format="json")
    assert made.status_code == 201, made.content
    assert Job.objects.get(pk=made.json()["id"]).config == {"limit": 3}
    assert "limit" in api.post("/api/v1/jobs", body | {"limit": 0}, format="json").content.decode()


def test_the_schema_of_all_trainers(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"codec": Trainer("codec", (Field("steps", "int", "Optimizer steps."),), {"tiny": TINY})}
    monkeypatch.setattr(jobs_api, "trainers", lambda: known)
    answer = api.get("/api/v1/jobs/schema").json()
    assert answer["codec"]["fields"] == [{"name": "steps", "type": "int", "help": "Optimizer steps."}]
    assert answer["codec"]["recipes"]["tiny"]["steps"] == 60


def test_values_by_dotted_name() -> None:
    assert schema.with_value({"a": {"b": 1, "c": 2}}, "a.b", 5) == {"a": {"b": 5, "c": 2}}
    assert schema.value_at({"a": None}, "a.b") is None
    field = Field("x", "list", "")
    assert schema.parse_value(field, "1, 2") == [1, 2]
    for bad in ("1;2", '"a"', "[1"):
        with pytest.raises(ValueError):
            schema.parse_value(field, bad)
    with pytest.raises(ValueError):
        schema.parse_value(Field("x", "float", ""), "nan")
