"""Reads of datasets, jobs, model versions and worker heartbeats; and of the files that belong to them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import soundfile as sf
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext, gettext_lazy

from apps.training.models import Dataset, Job, ModelVersion, TrainingConsent, WorkerHeartbeat
from apps.training.paths import dataset_folder, run_folder

_STEP = re.compile(r"^step-(\d{8})$")
_VERSION = re.compile(r"^version-([0-9a-f]{12})$")


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What one state of a model makes of the held-out clips. ``label`` is a step, or the name of a version; a file has
    its name within the run's folder and its length in seconds."""

    name: str
    kind: str
    label: str
    files: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ManifestPage:
    """Some rows of a manifest, from row `start` on."""

    rows: tuple[dict[str, Any], ...]
    start: int
    total: int


def model_versions_in_production() -> QuerySet[ModelVersion]:
    """At most one per kind and preset."""
    return ModelVersion.objects.filter(stage=ModelVersion.Stage.PRODUCTION)


def model_version_in_production(*, kind: str, preset: str) -> ModelVersion | None:
    """The one that people talk to now; of S2S models and recognisers there is one, whatever its preset."""
    found = model_versions_in_production().filter(kind=kind)
    return (found.filter(preset=preset) if kind == ModelVersion.Kind.CODEC else found).first()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a visitor is told of a model: from the card beside its weights."""

    name: str
    kind: str
    version: str
    millions: float | None
    licence: str
    data: tuple[str, ...]
    hardware: str
    figures: tuple[tuple[str, str], ...]


def model_cards() -> list[ModelCard]:
    """Cards of the models that people talk to now; figures as measured with all codebooks, or of the top level."""
    return [_card(row) for row in model_versions_in_production().order_by("kind", "preset")]


def _card(row: ModelVersion) -> ModelCard:
    card: dict[str, Any] = row.card or {}
    training = card["training"] if isinstance(card.get("training"), dict) else {}
    parameters = card.get("parameters")
    return ModelCard(
        name=str(card.get("name") or NAMES.get(row.kind) or f"{row.kind} {row.preset}"),
        kind=row.kind,
        version=str(card.get("version") or row.version),
        millions=round(parameters / 1e6, 1) if isinstance(parameters, int | float) else None,
        licence=str(card.get("licence", "")),
        data=tuple(_sources(training.get("data") or card.get("data"))),
        hardware=str(training.get("hardware", "")),
        figures=tuple(_figures(card.get("metrics"), row.preset)),
    )


def _sources(data: object) -> Iterable[str]:
    """What a card says of its data, one source a line."""
    if isinstance(data, dict):
        data = data.get("sources")
    if isinstance(data, str):
        yield from (part.strip() for part in data.split(";") if part.strip())
    elif isinstance(data, list | tuple):
        yield from map(str, data)


NAMES = {"recogniser": gettext_lazy("Recogniser")}
_OF_CODECS: dict[str, tuple[Any, str]] = {
    "kbps": (gettext_lazy("Bit rate"), "{:g} kbit/s"),
    "snr_db": (gettext_lazy("Signal to noise"), "{:.1f} dB"),
    "pesq_wb": (gettext_lazy("Quality (PESQ-WB, 1 to 4.6)"), "{:.2f}"),
    "stoi": (gettext_lazy("Intelligibility (STOI, 0 to 1)"), "{:.3f}"),
}
_OF_ANSWERS: dict[str, Any] = {
    "seen": gettext_lazy("Right answers: wordings it learned"),
    "voices": gettext_lazy("Right answers: new voices"),
    "phrasings": gettext_lazy("Right answers: new wordings"),
    "followups": gettext_lazy("Right answers: follow-ups"),
    "chains": gettext_lazy("Right answers: longer threads"),
    "out_of_domain": gettext_lazy("Polite way out when it cannot know"),
}


def _figures(metrics: object, preset: str) -> Iterable[tuple[str, str]]:
    """The figures of a card that say something to people who talk: of a codec at its best, of answers by kind."""
    for value in metrics.values() if isinstance(metrics, dict) else ():
        if not isinstance(value, dict):
            continue
        if isinstance(levels := value.get("codec"), dict) and levels:
            best = levels[max(levels, key=int)]
            for name, (words, form) in _OF_CODECS.items():
                # of a codec that makes its own phase the signal-to-noise ratio says nothing
                if isinstance(best.get(name), int | float) and not (name == "snr_db" and preset == "dialogue"):
                    yield str(words), form.format(best[name])
        if isinstance(groups := value.get("groups"), dict):
            for name, words in _OF_ANSWERS.items():
                accuracy = groups[name].get("accuracy") if isinstance(groups.get(name), dict) else None
                if isinstance(accuracy, int | float):
                    yield str(words), f"{accuracy:.0%}"
        if isinstance(share := value.get("phone_error_rate"), int | float):
            yield gettext("Sounds misheard"), f"{share:.0%}"


def model_versions() -> QuerySet[ModelVersion]:
    """All, production first within kind and preset, with where they came from."""
    return ModelVersion.objects.select_related("job", "parent").order_by("kind", "preset", "-created_at")


def heartbeat_ages(*, now: datetime) -> dict[str, float]:
    """Seconds since each queue's last heartbeat; a queue without any worker so far is absent."""
    rows = WorkerHeartbeat.objects.values_list("queue", "beat_at")
    return {queue: round((now - beat_at).total_seconds(), 1) for queue, beat_at in rows}


def datasets() -> QuerySet[Dataset]:
    """All, newest first."""
    return Dataset.objects.select_related("created_by")


def datasets_ready() -> QuerySet[Dataset]:
    """Those that can be trained on."""
    return Dataset.objects.filter(status=Dataset.Status.READY)


def datasets_to_measure_on(*, kind: str) -> list[Dataset]:
    """Datasets that a model of that kind can be evaluated on: an S2S model needs pairs, a recogniser has none."""
    if kind == ModelVersion.Kind.RECOGNISER:
        return []
    return [d for d in datasets_ready() if kind != ModelVersion.Kind.S2S or d.stats.get("pairs")]


def datasets_open_for_turns() -> QuerySet[Dataset]:
    """Those that marked turns can be added to."""
    return Dataset.objects.filter(source=Dataset.Source.CONVERSATION).exclude(status=Dataset.Status.INGESTING)


def consent_given(*, user_id: int | None, guest_key: str) -> bool:
    """Whether this person lets their words be learned from."""
    if user_id is not None:
        return TrainingConsent.objects.filter(owner_id=user_id).exists()
    return bool(guest_key) and TrainingConsent.objects.filter(guest_key=guest_key).exists()


def jobs() -> QuerySet[Job]:
    """All, newest first."""
    return Job.objects.select_related("created_by", "parent").prefetch_related("datasets")


def jobs_active() -> QuerySet[Job]:
    """Running and waiting ones, the running first."""
    return jobs().filter(status__in=(*Job.ACTIVE, Job.Status.QUEUED, Job.Status.INTERRUPTED)).order_by("created_at")


def job_counts(*, since: datetime) -> dict[str, int]:
    """How many jobs run and wait now, and how many failed since then."""
    return Job.objects.aggregate(
        running=Count("pk", filter=Q(status__in=Job.ACTIVE)),
        waiting=Count("pk", filter=Q(status__in=(Job.Status.QUEUED, Job.Status.INTERRUPTED))),
        failed=Count("pk", filter=Q(status=Job.Status.FAILED, ended_at__gte=since)),
    )


def job_get(*, job_id: UUID) -> Job | None:
    """One job, else None."""
    return jobs().select_related("model_version").filter(pk=job_id).first()


def dataset_manifest(*, dataset_id: UUID, start: int = 0, count: int = 25) -> ManifestPage:
    """Rows of the dataset's manifest; none where there is no manifest (yet, or any more)."""
    path = dataset_folder(dataset_id) / "manifest.jsonl"
    rows: list[dict[str, Any]] = []
    total = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in islice(file, start, start + count):
                row = json.loads(line)
                if isinstance(row, dict):
                    rows.append(row)
        with path.open("rb") as file:
            total = sum(1 for _line in file)
    except (OSError, ValueError):
        pass
    return ManifestPage(tuple(rows), start, total)


def dataset_audio_path(*, dataset_id: UUID, name: str) -> Path | None:
    """A clip of a dataset by the name that its manifest gives; None when there is none (or it lies elsewhere)."""
    return _inside(dataset_folder(dataset_id) / "audio", dataset_folder(dataset_id) / name)


def run_file_path(*, job_id: UUID, name: str) -> Path | None:
    """A file of a run by its name relative to the run's folder; None when there is none (or it lies elsewhere)."""
    return _inside(run_folder(job_id), run_folder(job_id) / name)


def run_samples(*, job_id: UUID) -> list[SampleSet]:
    """What there is to hear of a run: the originals, then other versions, then its steps, the newest first."""
    folder = run_folder(job_id) / "samples"
    found: list[SampleSet] = []
    for path in sorted(folder.glob("*"), reverse=True) if folder.is_dir() else ():
        files = tuple((f"samples/{path.name}/{clip.name}", _seconds(clip)) for clip in sorted(path.glob("*.flac")))
        if not files:
            continue
        if path.name == "target":
            found.insert(0, SampleSet(path.name, "target", "", files))
        elif match := _VERSION.match(path.name):
            found.append(SampleSet(path.name, "version", _version_label(match[1]), files))
        elif match := _STEP.match(path.name):
            found.append(SampleSet(path.name, "step", str(int(match[1])), files))
    order = {"target": 0, "version": 1, "step": 2}
    return sorted(found, key=lambda s: (order[s.kind], -int(s.label) if s.kind == "step" else 0))


def config_differences(jobs_to_compare: Iterable[Job]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all of the jobs: name, and the value in each."""
    flat = [_flat(job.config.get("values", {})) for job in jobs_to_compare]
    names = dict.fromkeys(name for values in flat for name in values)
    rows = [(name, [values.get(name, "–") for values in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False)
    return found


def _seconds(path: Path) -> float:
    try:
        return float(sf.info(str(path)).duration)
    except (OSError, RuntimeError):
        return 0.0


def _version_label(sha12: str) -> str:
    version = ModelVersion.objects.filter(sha256__startswith=sha12).first()
    return f"{version.preset} {version.version}" if version is not None else sha12


def _inside(folder: Path, path: Path) -> Path | None:
    # resolve() follows links and "..": what is asked for must lie in that very folder
    resolved = path.resolve()
    return resolved if resolved.is_file() and resolved.is_relative_to(folder.resolve()) else None
