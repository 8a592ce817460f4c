"""What each kind of job runs is a command line that `python -m ml` takes; what cannot run is said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import typer
from django.utils import translation

from apps.training import kinds
from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import dataset_folder, models_dir, run_folder
from apps.voice.errors import ServiceError
from ml.cli import app

pytestmark = pytest.mark.django_db

Kind = Job.Kind
TRAININGS = {Kind.TRAIN_CODEC: "codec", Kind.TRAIN_S2S: "s2s", Kind.TRAIN_RECOGNISER: "recogniser"}


def parsed(arguments: list[str]) -> dict[str, Any]:
    """The options of a command line of `python -m ml`. Raises click's UsageError when it would not be taken."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command)
    rest = arguments[arguments.index("ml") + 1 :]
    while hasattr(command, "get_command"):
        command = command.get_command(context, rest.pop(0))
        assert command is not None, arguments
    return dict(command.make_context("ml", rest).params)


@pytest.fixture
def run(dataset: Dataset) -> Any:
    """Makes a training run that has samples and best weights."""

    def make(kind: str) -> Job:
        job = Job.objects.create(kind=kind, name="a run", status="succeeded", config={"values": {"steps": 5}})
        job.datasets.add(dataset)
        (run_folder(job.pk) / "samples" / "target").mkdir(parents=True)
        return job

    return make


def version(kind: str) -> ModelVersion:
    path = models_dir() / f"{kind}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return ModelVersion.objects.create(kind=kind, preset="tiny", version="1", file=path.name, sha256="0" * 64, card={})


def command(kind: str, **fields: Any) -> list[str]:
    datasets = fields.pop("datasets", [])
    job = Job.objects.create(kind=kind, name="a job", device="cpu", **fields)
    job.datasets.set(datasets)
    run_folder(job.pk).mkdir(parents=True, exist_ok=True)
    return kinds.command_of(job).arguments


@pytest.mark.parametrize("kind", TRAININGS)
def test_every_training_can_be_started_and_exported(kind: str, run: Any, dataset: Dataset) -> None:
    started = parsed(command(kind, datasets=[dataset], config={"values": {"steps": 5}}))
    assert started["device"] == "cpu"
    parent = run(kind)
    exported = parsed(command(Kind.EXPORT, parent=parent, config={"version": "v1"}))
    assert exported["run"] == run_folder(parent.pk)
    assert exported["version"] == "v1"
    assert exported["data"] == ["Two tones (CC0)"]
    if kind == Kind.TRAIN_S2S:
        assert exported["pairs"] == dataset_folder(dataset.pk)


@pytest.mark.parametrize("kind", ["codec", "s2s"])
def test_a_model_is_measured_and_heard_by_its_kind(kind: str, run: Any, dataset: Dataset) -> None:
    model = version(kind)
    measured = parsed(command(Kind.EVALUATE, model_version=model, datasets=[dataset], config={"limit": 7}))
    assert (measured["limit"], measured["as_json"]) == (7, True)
    parent = run(f"train_{kind}")
    heard = parsed(command(Kind.SAMPLES, parent=parent, model_version=model))
    assert heard["target"] == run_folder(parent.pk) / "samples" / f"version-{model.sha256[:12]}"
    assert Path(heard["weights"]) == (models_dir() / "s2s.safetensors" if kind == "s2s" else models_dir())


@pytest.mark.parametrize(
    ("kind", "parent", "model", "words"),
    [
        (Kind.EVALUATE, None, "recogniser", "see the run's curves"),
        (Kind.SAMPLES, Kind.TRAIN_CODEC, "s2s", "cannot speak the samples"),
    ],
)
def test_what_does_not_fit_is_said(
    kind: str, parent: str | None, model: str, words: str, run: Any, dataset: Dataset
) -> None:
    with translation.override("en"), pytest.raises(ServiceError, match=words):
        command(kind, parent=run(parent) if parent else None, model_version=version(model), datasets=[dataset])


def test_several_gpus_are_several_processes(run: Any, dataset: Dataset) -> None:
    job = Job.objects.create(kind=Kind.TRAIN_CODEC, name="big", device="cuda", config={"gpus": 4, "values": {}})
    job.datasets.add(dataset)
    run_folder(job.pk).mkdir(parents=True)
    arguments = kinds.command_of(job).arguments
    assert arguments[2:7] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    assert parsed(arguments)["device"] == "cuda"
