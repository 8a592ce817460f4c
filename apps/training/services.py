"""Writes of model versions and worker heartbeats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.training.models import ModelVersion, WorkerHeartbeat

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


@transaction.atomic
def heartbeat_record(*, queue: str, worker: str, now: datetime | None = None) -> None:
    """Note that a worker of `queue` finished a heartbeat task."""
    WorkerHeartbeat.objects.update_or_create(
        queue=queue, defaults={"worker": worker[:200], "beat_at": now or timezone.now()}
    )
