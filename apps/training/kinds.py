"""What each kind of job runs: its command line, where its progress appears, whether it needs a device for itself."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from apps.training.models import Dataset, Job, ModelVersion
from apps.training.paths import cache_dir, corpus_folder, dataset_folder, models_dir, run_folder
from apps.training.supervisor import with_parent
from apps.voice.errors import ServiceError

Kind = Job.Kind
TRAINERS = {Kind.TRAIN_CODEC: "codec", Kind.TRAIN_S2S: "s2s", Kind.TRAIN_RECOGNISER: "recogniser"}
"""Kind of job -> its name under ``python -m ml train``."""
DEVICE_KINDS = frozenset({*TRAINERS, Kind.PAIRS, Kind.CODES, Kind.EVALUATE})
"""Kinds that compute for long: one of them at a time on each device. The others are light and need not wait."""
GRACE_S = 60.0
"""How long a run may take from SIGTERM to its last checkpoint before it is killed."""


@dataclass(frozen=True, slots=True)
class Command:
    """Arguments after ``python``, and the file in which JSON rows of progress appear."""

    arguments: list[str]
    progress: Path
    total: int = 0


def needs_device(kind: str) -> bool:
    """Whether a job of that kind has a device for itself."""
    return kind in DEVICE_KINDS


def queue_for(kind: str, device: str) -> str:
    """The queue whose workers take it."""
    return "gpu" if needs_device(kind) and device.startswith("cuda") else "cpu"


def devices() -> list[str]:
    """Devices that somebody works for here."""
    queues = set(settings.VOICE_QUEUES)
    return [name for name, queue in (("cpu", "cpu"), ("cuda", "gpu")) if queue in queues]


def threads_for(device: str) -> int:
    """CPU threads of a job: one core is left to those who talk. The same number again makes a resumed run equal."""
    return max(1, (os.cpu_count() or 2) - 1) if device == "cpu" else 0


def audio_folders(datasets: list[Dataset]) -> list[Path]:
    """Where the clips of datasets lie. Raises ServiceError when one is not there (deleted underneath, not ingested)."""
    if not datasets:
        raise ServiceError("no_dataset", _("this job has no dataset any more"), _("clone it and choose another"))
    folders = []
    for dataset in datasets:
        folder = dataset_folder(dataset.pk) / "audio"
        if not folder.is_dir():
            words = _("the recordings of dataset “%(name)s” are gone") % {"name": dataset.name}
            raise ServiceError(
                "no_dataset", words, _("clone the job and choose another dataset, or ingest this one again")
            )
        folders.append(folder)
    return folders


def version_path(version: ModelVersion) -> Path:
    """Where a version's weights lie: made here, or shipped."""
    made_here = models_dir() / version.file
    return made_here if made_here.is_file() else Path(settings.VOICE_WEIGHTS_DIR) / version.file


def command_of(job: Job) -> Command:
    """The command of a job, in its run's folder (which exists).

    Raises:
        ServiceError: something it needs is missing.
    """
    build = _BUILDERS.get(Kind(job.kind))
    if build is None:
        raise ServiceError("unknown_kind", f"no command for {job.kind}", _("update this installation"))
    arguments, progress, total = build(job, run_folder(job.pk))
    return Command(["-W", "ignore", *launcher(job), "-m", "ml", *arguments], progress, total)


def launcher(job: Job) -> list[str]:
    """torchrun where a training has several GPUs; its processes end with it."""
    gpus = int(job.config.get("gpus") or 1)
    if gpus < 2 or not job.device.startswith("cuda") or job.kind not in TRAINERS:
        return []
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus), "--no-python", "--"]
    return [*several, sys.executable, str(Path(with_parent.__file__)), "-W", "ignore"]


Built = tuple[list[str], Path, int]


def _train(job: Job, run: Path) -> Built:
    config: dict[str, Any] = job.config.get("values", {})
    wanted = run / "wanted.json"
    wanted.write_text(json.dumps(config, indent=2), encoding="utf-8")
    folders = audio_folders(list(job.datasets.all()))
    arguments = ["train", TRAINERS[Kind(job.kind)], "--run", str(run), "--config", str(wanted)]
    if job.kind == Kind.TRAIN_S2S:
        arguments += ["--pairs", str(folders[0].parent)]
    else:
        arguments += [part for folder in folders for part in ("--data", str(folder))]
    if job.kind == Kind.TRAIN_CODEC:
        arguments += ["--cache", str(cache_dir())]
    arguments += ["--device", job.device, "--threads", str(threads_for(job.device))]
    return arguments, run / "metrics.jsonl", int(config.get("steps") or 0)


def _pairs(job: Job, run: Path) -> Built:
    dataset = job.datasets.first()
    if dataset is None:
        raise ServiceError("no_dataset", _("the dataset of this job is gone"), _("make another one"))
    progress = run / "progress.jsonl"
    arguments = [
        "data",
        "pairs",
        "--out",
        str(dataset_folder(dataset.pk)),
        "--size",
        str(job.config.get("size", "tiny")),
    ]
    if (own := corpus_folder(dataset.pk)).is_dir():
        arguments += ["--more", str(own)]
    return [*arguments, "--progress-jsonl", str(progress)], progress, 0


def _codes(job: Job, run: Path) -> Built:
    dataset = job.datasets.first()
    if dataset is None:
        raise ServiceError("no_dataset", _("the dataset of this job is gone"), _("make another one"))
    progress = run / "progress.jsonl"
    arguments = ["data", "codes", "--pairs", str(dataset_folder(dataset.pk)), "--device", job.device]
    return [*arguments, "--threads", str(threads_for(job.device)), "--progress-jsonl", str(progress)], progress, 0


def _ingest(job: Job, run: Path) -> Built:
    dataset = job.datasets.first()
    if dataset is None:
        raise ServiceError("no_dataset", _("the dataset of this job is gone"), _("upload the recordings again"))
    folder = dataset_folder(dataset.pk)
    if not (folder / "uploads").is_dir():
        words = _("dataset “%(name)s” has no uploaded files") % {"name": dataset.name}
        raise ServiceError("no_dataset", words, _("upload recordings first"))
    progress = run / "progress.jsonl"
    source, out = str(folder / "uploads"), str(folder)
    return ["data", "ingest", "--source", source, "--out", out, "--progress-jsonl", str(progress)], progress, 0


def _export(job: Job, run: Path) -> Built:
    if job.parent is None or not job.parent.is_training:
        raise ServiceError("no_run", _("the run to export is gone"), _("train again"))
    data = [f"{d.name} ({d.licence or _('licence not given')})" for d in job.parent.datasets.all()] or ["not recorded"]
    model = TRAINERS[Kind(job.parent.kind)]
    arguments = [model, "export", str(run_folder(job.parent.pk)), "--weights", str(run / "export")]
    if job.parent.kind == Kind.TRAIN_S2S:  # what it may answer is named by the pairs
        arguments += ["--pairs", str(_pairs_of(job.parent))]
    arguments += ["--version", str(job.config.get("version") or str(job.parent.pk)[:8])]
    arguments += ["--hardware", job.parent.worker.partition("/")[0] or job.parent.device]
    return [*arguments, *(part for name in data for part in ("--data", name))], run / "progress.jsonl", 0


def _samples(job: Job, run: Path) -> Built:
    version = _version(job)
    if job.parent is None:
        raise ServiceError("no_run", _("the run to compare with is gone"), _("train again"))
    samples = run_folder(job.parent.pk) / "samples"
    if not (samples / "target").is_dir():
        raise ServiceError("no_samples", _("this run has no samples yet"), _("wait for its first validation"))
    if version.kind != TRAINERS.get(Kind(job.parent.kind)):
        words = _("a %(kind)s cannot speak the samples of this run") % {"kind": version.get_kind_display()}
        raise ServiceError("no_model", words, _("choose a model of the kind that the run trains"))
    target = samples / f"version-{version.sha256[:12]}"
    if version.kind == "s2s":
        arguments = ["s2s", "samples", str(run_folder(job.parent.pk)), str(target)]
        arguments += ["--pairs", str(_pairs_of(job.parent)), "--weights", str(version_path(version))]
        return arguments, run / "progress.jsonl", 0
    arguments = ["codec", "samples", str(samples / "target"), str(target)]
    arguments += ["--preset", version.preset, "--weights", str(version_path(version).parent)]
    return arguments, run / "progress.jsonl", 0


def _evaluate(job: Job, run: Path) -> Built:
    version = _version(job)
    folders, limit = audio_folders(list(job.datasets.all())), str(job.config.get("limit", 20))
    if version.kind == "s2s":
        arguments = ["evaluate", "s2s", "--pairs", str(folders[0].parent), "--weights", str(version_path(version))]
        arguments += ["--device", job.device, "--threads", str(threads_for(job.device)), "--questions", "2"]
    elif version.kind == "codec":
        arguments = ["evaluate", "codec", "--preset", version.preset, "--weights", str(version_path(version).parent)]
        arguments += [part for folder in folders for part in ("--data", str(folder))]
    else:
        words = _("a recogniser is measured by its training: see the run's curves")
        raise ServiceError("no_model", words, _("choose a codec or an S2S model"))
    return [*arguments, "--limit", limit, "--json"], run / "progress.jsonl", 0


def _pairs_of(run: Job) -> Path:
    """The folder of pairs that an S2S run learned from. Raises ServiceError where it is gone."""
    return audio_folders(list(run.datasets.all()))[0].parent


def _version(job: Job) -> ModelVersion:
    if job.model_version is None or not version_path(job.model_version).is_file():
        raise ServiceError("no_model", _("the weights of this job's model are gone"), _("choose another model version"))
    return job.model_version


_BUILDERS = {
    Kind.INGEST: _ingest,
    Kind.PAIRS: _pairs,
    Kind.CODES: _codes,
    Kind.TRAIN_CODEC: _train,
    Kind.TRAIN_S2S: _train,
    Kind.TRAIN_RECOGNISER: _train,
    Kind.SAMPLES: _samples,
    Kind.EVALUATE: _evaluate,
    Kind.EXPORT: _export,
}
