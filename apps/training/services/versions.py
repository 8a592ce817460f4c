"""Registering model versions: shipped with the product, or made by a job here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.training.models import Job, ModelVersion
from apps.training.paths import models_dir
from apps.voice.errors import ServiceError

Stage = ModelVersion.Stage


class WeightsError(Exception):
    """Weights or their card cannot be registered; the message says which file and what to do."""


def model_versions_register_shipped(*, weights_dir: Path) -> list[ModelVersion]:
    """Register each set of weights in a folder (``NAME.safetensors`` beside its card ``NAME.json``) that is not known.

    The card needs ``sha256`` and ``config``; nothing of the weights is loaded, they are only hashed. A new version
    goes to production when its preset has none there, or when its file took the place of the one there (whose weights
    then exist no more). Known versions stay as the operator left them. Returns the new ones.

    Raises:
        WeightsError: a card cannot be read, or weights are missing or do not match it.
    """
    known = set(ModelVersion.objects.values_list("sha256", flat=True))
    registered = []
    for path in sorted(weights_dir.glob("*.json")):
        card = _read_card(path)
        if card["sha256"] not in known:
            registered.append(_register(path.with_suffix(".safetensors"), card))
    return registered


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); restore it (git checkout)") from None
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str) or "config" not in card:
        raise WeightsError(f"{path} is no model card (it needs sha256 and config); restore it (git checkout)")
    return card


def _register(weights: Path, card: Mapping[str, Any]) -> ModelVersion:
    try:
        with weights.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights} cannot be read ({error.strerror}); restore it (git checkout)") from None
    if sha256 != card["sha256"]:
        raise WeightsError(f"{weights} does not match the sha256 of its card; restore both (git checkout)")
    kind, preset = _kind_and_preset(weights, card)
    try:
        return model_version_register(
            kind=kind,
            preset=preset,
            version=str(card.get("version") or sha256[:12]),
            file=weights.name,
            sha256=sha256,
            card=dict(card),
        )
    except ValidationError as error:
        raise WeightsError(f"{weights.with_suffix('.json')}: {' '.join(error.messages)}") from None


def _kind_and_preset(weights: Path, card: Mapping[str, Any]) -> tuple[str, str]:
    """From the card, else from the file's name (``codec-hifi.safetensors``)."""
    kind, _, preset = weights.stem.partition("-")
    config = card["config"] if isinstance(card["config"], dict) else {}
    return str(card.get("kind") or kind), str(card.get("preset") or config.get("preset") or preset)


def versions_register_export(*, job: Job, folder: Path) -> list[ModelVersion]:
    """Take weights that an export job wrote (each beside its card) among the models, staged. Known ones are left alone.

    Raises:
        ServiceError: bad_weights, when weights and card do not belong together; nothing is registered then.
        OSError: the files cannot be moved.
    """
    registered = []
    try:
        found = [(path, _read_card(path)) for path in sorted(folder.glob("*.json"))]
        if not found:
            raise WeightsError(f"nothing was exported to {folder.name}")
        for path, card in found:
            weights = path.with_suffix(".safetensors")
            check_weights(weights, str(card["sha256"]))
            kind, preset = _kind_and_preset(weights, card)
            known = ModelVersion.objects.filter(sha256=card["sha256"]).first()
            registered.append(known or _adopt(job, weights, card, kind, preset))
    except WeightsError as error:
        raise ServiceError("bad_weights", str(error), _("export the run again")) from None
    except ValidationError as error:
        raise ServiceError("bad_weights", " ".join(error.messages), _("export the run again")) from None
    return registered


def _adopt(job: Job, weights: Path, card: dict[str, Any], kind: str, preset: str) -> ModelVersion:
    name = f"{kind}-{preset}-{card['sha256'][:12]}"
    home, partial = models_dir() / name, models_dir() / f".{name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for source in (weights, weights.with_suffix(".json")):
            shutil.copyfile(source, partial / source.name)
    except OSError:  # half a copy takes the room that is lacking
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)
    os.replace(partial, home)
    run = job.parent
    started_from = str(run.config.get("init_sha256") or "") if run is not None else ""
    row = ModelVersion(
        kind=kind,
        preset=preset,
        version=str(card.get("version") or card["sha256"][:12])[:40],
        file=f"{name}/{weights.name}",
        sha256=card["sha256"],
        card=card,
        metrics=dict(run.metrics) if run is not None else {},
        job=run,
        parent=ModelVersion.objects.filter(sha256=started_from).first() if started_from else None,
    )
    row.full_clean()
    row.save()
    return row


def check_weights(weights: Path, sha256: str) -> None:
    """Raise WeightsError unless the file is there and is what its row or card says."""
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights.name} cannot be read ({error.strerror})") from None
    if found != sha256:
        raise WeightsError(f"{weights.name} is not what its sha256 says")


@transaction.atomic
def model_version_note_metrics(*, version_id: int, name: str, figures: Mapping[str, Any]) -> ModelVersion:
    """Keep what an evaluation measured, under the name of what it was measured on."""
    row = ModelVersion.objects.select_for_update(of=("self",)).get(pk=version_id)
    row.metrics = {**row.metrics, name: dict(figures)}
    row.full_clean()
    row.save()
    return row


@transaction.atomic
def model_version_register(
    *, kind: str, preset: str, version: str, file: str, sha256: str, card: dict[str, Any]
) -> ModelVersion:
    """Add one version; its stage as said in :func:`model_versions_register_shipped`. Raises ValidationError."""
    current = ModelVersion.objects.select_for_update().filter(kind=kind, preset=preset, stage=Stage.PRODUCTION).first()
    stage = Stage.PRODUCTION if current is None or current.file == file else Stage.STAGED
    if current is not None and stage == Stage.PRODUCTION:
        current.stage = Stage.RETIRED
        current.full_clean()
        current.save()
    model_version = ModelVersion(
        kind=kind, preset=preset, version=version, file=file, sha256=sha256, card=card, stage=stage
    )
    model_version.full_clean()
    model_version.save()
    return model_version
