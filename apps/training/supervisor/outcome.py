"""What a job that succeeded leaves behind: a dataset that is ready, a registered model version, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.training import services
from apps.training.models import Job
from apps.training.paths import run_folder

_SHOWN = (".safetensors", ".json", ".jsonl", ".txt", ".flac", ".html", ".csv")
_MOST = 200


def succeed(job: Job, result: dict[str, Any]) -> None:
    """The effects of success, before the row says so: done twice (a worker died between) they stay the same.

    Raises:
        ServiceError: what the command left is not what it should be.
        OSError: it cannot be read or moved.
    """
    if job.kind == Job.Kind.INGEST:
        dataset = job.datasets.first()
        if dataset is not None:
            services.dataset_ingested(dataset_id=dataset.pk)
    elif job.kind == Job.Kind.PAIRS:
        dataset = job.datasets.first()
        if dataset is not None:
            services.dataset_paired(dataset_id=dataset.pk)
    elif job.kind == Job.Kind.EXPORT:
        services.versions_register_export(job=job, folder=run_folder(job.pk) / "export")
    elif job.kind == Job.Kind.EVALUATE and job.model_version is not None:
        names = ", ".join(dataset.name for dataset in job.datasets.all())
        services.model_version_note_metrics(version_id=job.model_version.pk, name=names, figures=result)


def artefacts_of(folder: Path) -> list[str]:
    """Files of a run that people may want, relative to its folder: weights, logs, results (samples are shown apart)."""
    if not folder.is_dir():
        return []
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in _SHOWN and path.is_file())
    names = [str(path.relative_to(folder)) for path in found]
    return [name for name in names if not name.startswith((".", "exit.json", "checkpoints/", "samples/"))][:_MOST]
