"""Writes of datasets: made, filled from conversations, ingested, deleted."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.training.models import Dataset, Job
from apps.training.paths import dataset_folder
from apps.training.selectors import consent_given
from apps.training.services.corpus import corpus_checked, corpus_keep
from apps.training.services.jobs import Person, job_create
from apps.voice.errors import ServiceError
from apps.voice.models import Turn

Status = Dataset.Status
LENGTH_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)
LEVEL_EDGES = (-60.0, -50.0, -45.0, -40.0, -35.0, -30.0, -25.0, -20.0, -15.0, -10.0)
TOP_SPEAKERS = 12
PAIR_SIZES = ("tiny", "base", "full")


def dataset_locked(dataset_id: UUID) -> Dataset:
    """The row, locked for this transaction. Raises ServiceError unknown_dataset."""
    dataset = Dataset.objects.select_for_update(of=("self",)).filter(pk=dataset_id).first()
    if dataset is None:
        raise ServiceError("unknown_dataset", _("there is no such dataset"), _("look at the list of datasets"))
    return dataset


def _save(dataset: Dataset) -> Dataset:
    try:
        dataset.full_clean()
    except ValidationError as error:
        raise ServiceError(
            "bad_value", "; ".join(f"{k}: {' '.join(v)}" for k, v in error.message_dict.items())
        ) from None
    dataset.save()
    return dataset


@transaction.atomic
def dataset_create(
    *,
    name: str,
    user: Person = None,
    description: str = "",
    licence: str = "",
    source: str = Dataset.Source.UPLOAD,
    lineage: dict[str, Any] | None = None,
) -> Dataset:
    """A new, empty dataset. Raises ServiceError bad_value."""
    return _save(
        Dataset(
            name=name.strip(),
            description=description.strip(),
            licence=licence.strip(),
            source=source,
            lineage=lineage or {},
            created_by_id=user.pk if user is not None else None,
        )
    )


@transaction.atomic
def dataset_update(
    *, dataset_id: UUID, name: str | None = None, description: str | None = None, licence: str | None = None
) -> Dataset:
    """Other words about a dataset; None leaves them. Raises ServiceError."""
    dataset = dataset_locked(dataset_id)
    for field, value in (("name", name), ("description", description), ("licence", licence)):
        if value is not None:
            setattr(dataset, field, value.strip())
    return _save(dataset)


@transaction.atomic
def dataset_ingest(*, dataset_id: UUID, user: Person = None) -> Job:
    """Start the job that makes clips and a manifest of what was uploaded. Raises ServiceError."""
    dataset = dataset_locked(dataset_id)
    if dataset.status == Status.INGESTING:
        raise ServiceError("dataset_closed", _("this dataset is being ingested"), _("wait until that is over"))
    if not dataset.files:
        raise ServiceError("no_files", _("there is nothing to ingest"), _("upload recordings first"))
    dataset.status = Status.INGESTING
    dataset.message = ""
    _save(dataset)
    return job_create(kind=Job.Kind.INGEST, name=dataset.name, user=user, datasets=[dataset])


def dataset_make_pairs(*, name: str, size: str, topics: Mapping[str, str] | None = None, user: Person = None) -> Job:
    """A dataset of questions and answers, spoken by our own voices from the corpus; the job that makes it.

    `topics` are files of somebody's own (name to text, `docs/corpus.md` has the format), spoken beside the corpus.

    Raises:
        ServiceError: bad_value, bad_corpus.
    """
    if size not in PAIR_SIZES:
        raise ServiceError("bad_value", f"size: {size!r}", ", ".join(PAIR_SIZES))
    own = corpus_checked(topics) if topics else None
    lineage = {"size": size} | ({"topics": sorted(topics)} if topics else {})
    try:
        with transaction.atomic():
            dataset = dataset_create(
                name=name, user=user, licence="made here, free", source=Dataset.Source.SYNTHESIS, lineage=lineage
            )
            dataset.status = Status.INGESTING
            _save(dataset)
            if own is not None:
                corpus_keep(own, dataset.pk)
            return job_create(
                kind=Job.Kind.PAIRS, name=dataset.name, user=user, datasets=[dataset], config={"size": size}
            )
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


@transaction.atomic
def dataset_paired(*, dataset_id: UUID) -> Dataset:
    """Read what was made into the dataset's row. Raises ServiceError bad_manifest."""
    dataset = dataset_locked(dataset_id)
    path = dataset_folder(dataset.pk) / "manifest.jsonl"
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
        dataset.clips, dataset.seconds = int(head["clips"]), 3600.0 * float(head["hours"])
        dataset.stats = {"pairs": int(head["pairs"]), "size": str(head.get("size", ""))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceError("bad_manifest", f"manifest.jsonl: {error}", _("make the pairs again")) from None
    dataset.status = Status.READY
    dataset.message = ""
    return _save(dataset)


@transaction.atomic
def dataset_ingested(*, dataset_id: UUID) -> Dataset:
    """Read the manifest that an ingest left, into hours, plots and the dataset's state.

    Raises:
        ServiceError: bad_manifest.
    """
    dataset = dataset_locked(dataset_id)
    path = dataset_folder(dataset.pk) / "manifest.jsonl"
    rows, digest = read_manifest(path)
    if not rows:
        raise ServiceError("bad_manifest", _("no clip could be used"), _("look at the log for what was left out"))
    speakers = Counter(str(row.get("speaker") or "") for row in rows)
    lengths = [float(row["seconds"]) for row in rows]
    levels = [float(row["level_db"]) for row in rows if isinstance(row.get("level_db"), int | float)]
    dataset.clips = len(rows)
    dataset.seconds = sum(lengths)
    dataset.speakers = len(speakers)
    dataset.manifest_sha256 = digest
    dataset.stats = {
        "lengths": histogram(lengths, LENGTH_EDGES),
        "levels": histogram(levels, LEVEL_EDGES),
        "speakers": dict(speakers.most_common(TOP_SPEAKERS)),
        "left_out": _left_out(dataset_folder(dataset.pk)),
        "ingested_at": timezone.now().isoformat(timespec="seconds"),
    }
    dataset.status = Status.READY
    dataset.message = ""
    return _save(dataset)


@transaction.atomic
def job_fell_through(*, job: Job, message: str) -> None:
    """An ingest that failed or was cancelled leaves its dataset open to more files and another try."""
    if job.kind not in (Job.Kind.INGEST, Job.Kind.PAIRS):
        return
    for dataset in job.datasets.select_for_update(of=("self",)):
        if dataset.status == Status.INGESTING:
            dataset.status = Status.FAILED
            dataset.message = message[:500]
            _save(dataset)


def dataset_delete(*, dataset_id: UUID) -> None:
    """Remove a dataset and its recordings. Models trained on it stay. Raises ServiceError dataset_in_use."""
    with transaction.atomic():
        dataset = dataset_locked(dataset_id)
        running = dataset.jobs.filter(status__in=(*Job.ACTIVE, Job.Status.QUEUED, Job.Status.INTERRUPTED)).first()
        if running is not None:
            words = _("job “%(name)s” works with this dataset") % {"name": running.name}
            raise ServiceError("dataset_in_use", words, _("cancel the job first"))
        dataset.delete()
    shutil.rmtree(dataset_folder(dataset_id), ignore_errors=True)


@transaction.atomic
def dataset_add_turns(*, dataset: Dataset, turn_ids: Sequence[UUID], user: Person = None) -> int:
    """Copy what people said in marked turns into a dataset made of conversations. Returns how many were new.

    Only turns that an operator marked good, of people who gave their consent and let their audio be kept; where each
    came from stays in the lineage. The dataset has to be ingested (again) afterwards.

    Raises:
        ServiceError: unknown_dataset, dataset_closed, no_consent (which turns may not be used, none is added).
    """
    dataset = dataset_locked(dataset.pk)
    if dataset.source != Dataset.Source.CONVERSATION:
        raise ServiceError(
            "dataset_closed", _("this dataset is not made of conversations"), _("make a new one for them")
        )
    if dataset.status == Status.INGESTING:
        raise ServiceError("dataset_closed", _("this dataset is being ingested"), _("wait until that is over"))
    turns = list(Turn.objects.filter(pk__in=turn_ids).select_related("session").order_by("started_at"))
    refused = [str(turn.pk) for turn in turns if not may_be_used(turn)]
    if refused or len(turns) < len(set(turn_ids)):
        words = _("%(n)d turns may not be used") % {"n": len(refused) or len(set(turn_ids)) - len(turns)}
        raise ServiceError("no_consent", words, _("take those marked good, of people who gave their consent"))
    known: dict[str, Any] = dataset.lineage.setdefault("turns", {})
    folder = dataset_folder(dataset.pk) / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    added = 0
    for turn in turns:
        if str(turn.pk) in known:
            continue
        # the name is what the ingest makes the speaker of: one session is one person
        target = folder / f"session-{turn.session_id}" / f"{turn.pk}.flac"
        target.parent.mkdir(exist_ok=True)
        with turn.audio.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        known[str(turn.pk)] = {
            "session": str(turn.session_id),
            "marked_by": getattr(turn, "marked_by_id", None),
            "added_by": user.pk if user is not None else None,
            "added_at": timezone.now().isoformat(timespec="seconds"),
        }
        dataset.files += 1
        dataset.bytes += target.stat().st_size
        added += 1
    if added:
        dataset.status = Status.OPEN
    _save(dataset)
    return added


def may_be_used(turn: Turn) -> bool:
    """Marked good by an operator, said by a person, kept with their consent, and still there."""
    return (
        getattr(turn, "mark", "") == "good"
        and turn.role == Turn.Role.USER
        and has_consent(turn)
        and bool(turn.audio)
        and turn.audio.storage.exists(str(turn.audio.name))
    )


def has_consent(turn: Turn) -> bool:
    """Whether whoever spoke agreed that their words may be learned from."""
    session = turn.session
    return consent_given(user_id=session.owner_id, guest_key=session.guest_key)


def read_manifest(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Rows of a manifest and its sha256. Raises ServiceError bad_manifest."""
    try:
        content = path.read_bytes()
        rows = [json.loads(line) for line in content.splitlines() if line.strip()]
        good = all(
            isinstance(row, dict) and isinstance(row.get("audio"), str) and math.isfinite(float(row["seconds"]))
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceError("bad_manifest", f"manifest.jsonl: {error}", _("ingest the dataset again")) from None
    if not good:
        raise ServiceError(
            "bad_manifest", "manifest.jsonl: a row lacks audio or seconds", _("ingest the dataset again")
        )
    return rows, hashlib.sha256(content).hexdigest()


def histogram(values: Sequence[float], edges: Sequence[float]) -> dict[str, list[float]]:
    """How many values lie between neighbouring edges; the first and last bins take what lies outside."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        place = next((i for i, edge in enumerate(edges[1:-1]) if value < edge), len(counts) - 1)
        counts[place] += 1
    return {"edges": list(edges), "counts": [float(c) for c in counts]}


def _left_out(folder: Path) -> list[dict[str, str]]:
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        rows = report.get("left_out", [])
        return [{"file": str(r.get("file", ""))[:200], "why": str(r.get("why", ""))[:200]} for r in rows][:200]
    except (OSError, ValueError, AttributeError):
        return []
