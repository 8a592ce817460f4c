"""Shipped weights are registered by what they are (sha256), never by being there; heartbeats."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.training import selectors, services
from apps.training.models import ModelVersion, WorkerHeartbeat

pytestmark = pytest.mark.django_db


def ship(folder: Path, name: str, content: bytes, **card: Any) -> str:
    """Put weights and their card into a folder; returns the sha256."""
    (folder / f"{name}.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    text = json.dumps({"sha256": sha256, "config": {"preset": name.partition("-")[2]}, **card})
    (folder / f"{name}.json").write_text(text)
    return sha256


def register(folder: Path) -> list[ModelVersion]:
    return services.model_versions_register_shipped(weights_dir=folder)


def test_the_first_version_goes_to_production_once(tmp_path: Path) -> None:
    sha256 = ship(tmp_path, "codec-hifi", b"first", version="0.1.0", metrics={"stoi": 0.9})
    (row,) = register(tmp_path)
    assert (row.kind, row.preset, row.version, row.stage) == ("codec", "hifi", "0.1.0", "production")
    assert (row.file, row.sha256, row.card["metrics"]) == ("codec-hifi.safetensors", sha256, {"stoi": 0.9})
    assert register(tmp_path) == []


def test_new_weights_in_the_same_file_take_over(tmp_path: Path) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    register(tmp_path)
    second = ship(tmp_path, "codec-hifi", b"second")
    register(tmp_path)
    assert list(ModelVersion.objects.order_by("id").values_list("stage", flat=True)) == ["retired", "production"]
    assert selectors.model_versions_in_production().get().sha256 == second


def test_weights_in_another_file_wait_and_other_presets_do_not_matter(tmp_path: Path) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    register(tmp_path)
    ship(tmp_path, "codec-hifi-candidate", b"second", kind="codec", preset="hifi")
    ship(tmp_path, "codec-dialogue", b"third")
    stages = {row.file: row.stage for row in register(tmp_path)}
    assert stages == {"codec-hifi-candidate.safetensors": "staged", "codec-dialogue.safetensors": "production"}


def test_an_operators_stage_stays(tmp_path: Path) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    (row,) = register(tmp_path)
    ModelVersion.objects.filter(pk=row.pk).update(stage="retired")
    assert register(tmp_path) == []
    assert ModelVersion.objects.get().stage == "retired"


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "no model card"),
        ('{"config": {}}', "no model card"),
        ('{"sha256": "00", "config": {}}', "does not match"),
    ],
)
def test_a_broken_card_is_named(tmp_path: Path, card: str, words: str) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    (tmp_path / "codec-hifi.json").write_text(card)
    with pytest.raises(services.WeightsError, match=rf"codec-hifi.*{words}.*git checkout"):
        register(tmp_path)
    assert not ModelVersion.objects.exists()


def test_missing_weights_and_unknown_kinds_are_named(tmp_path: Path) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    (tmp_path / "codec-hifi.safetensors").unlink()
    with pytest.raises(services.WeightsError, match=r"codec-hifi\.safetensors cannot be read"):
        register(tmp_path)
    ship(tmp_path, "codec-hifi", b"first", kind="toaster")
    with pytest.raises(services.WeightsError, match=r"codec-hifi\.json.*toaster"):
        register(tmp_path)


def test_no_weights_no_versions(tmp_path: Path) -> None:
    assert register(tmp_path) == []
    assert register(tmp_path / "nowhere") == []


def test_the_database_keeps_one_version_in_production(tmp_path: Path) -> None:
    ship(tmp_path, "codec-hifi", b"first")
    ship(tmp_path, "codec-hifi-b", b"second", kind="codec", preset="hifi")
    register(tmp_path)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.update(stage="production")


def test_a_sha256_has_64_digits() -> None:
    with pytest.raises(ValidationError, match="64 "):
        services.model_version_register(kind="codec", preset="hifi", version="1", file="f", sha256="AB", card={"a": 1})


def test_heartbeats_are_one_row_a_queue(django_assert_num_queries: Any) -> None:
    now = timezone.now()
    services.heartbeat_record(queue="io", worker="one@host", now=now - timedelta(seconds=50))
    services.heartbeat_record(queue="io", worker="two@host", now=now - timedelta(seconds=20))
    assert WorkerHeartbeat.objects.get().worker == "two@host"
    assert selectors.heartbeat_ages(now=now) == {"io": 20.0}


def test_the_heartbeat_task_names_its_queue() -> None:
    from apps.training.tasks import heartbeat

    heartbeat("cpu")
    assert WorkerHeartbeat.objects.get().queue == "cpu"
