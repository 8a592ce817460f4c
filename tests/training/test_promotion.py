"""Nothing is half promoted: the bytes, the servers and the row agree, or all stays as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import gettext

from apps.training import selectors, services
from apps.training.models import Job, ModelVersion
from apps.training.paths import models_dir, production_dir, run_folder
from apps.training.services import promotion
from apps.voice.errors import ServiceError

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_serves(settings: Any, tmp_path: Path) -> None:
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/nobody.sock"]


def exported(name: str, content: bytes, **card: Any) -> Job:
    """An export job whose command has written weights and card."""
    run = Job.objects.create(kind="train_codec", name=name, status="succeeded", metrics={"snr_db_8": 7.5})
    job = Job.objects.create(kind="export", name=name, parent=run)
    folder = run_folder(job.pk) / "export"
    folder.mkdir(parents=True)
    (folder / "codec-hifi.safetensors").write_bytes(content)
    text = {"sha256": hashlib.sha256(content).hexdigest(), "config": {"preset": "hifi"}, "version": name, **card}
    (folder / "codec-hifi.json").write_text(json.dumps(text))
    return job


def registered(name: str, content: bytes, **card: Any) -> ModelVersion:
    job = exported(name, content, **card)
    [version] = services.versions_register_export(job=job, folder=run_folder(job.pk) / "export")
    return version


def test_an_export_is_staged_with_its_lineage() -> None:
    version = registered("first", b"weights")
    assert (version.kind, version.preset, version.version, version.stage) == ("codec", "hifi", "first", "staged")
    assert version.job is not None
    assert version.job.name == "first"
    assert version.metrics == {"snr_db_8": 7.5}
    assert (models_dir() / version.file).read_bytes() == b"weights"
    assert registered("again", b"weights") == version  # the same bytes are the same version


def test_weights_that_do_not_match_their_card_are_not_registered() -> None:
    job = exported("bad", b"weights", sha256="0" * 64)
    with pytest.raises(ServiceError) as error:
        services.versions_register_export(job=job, folder=run_folder(job.pk) / "export")
    assert error.value.code == "bad_weights"
    assert not ModelVersion.objects.exists()
    assert not list(models_dir().glob("*"))


def test_promote_and_roll_back() -> None:
    first, second = registered("first", b"one"), registered("second", b"two")
    services.version_promote(version_id=first.pk)
    done = services.version_promote(version_id=second.pk)
    assert (done.version.stage, done.before) == ("production", first)
    assert (production_dir() / "codec-hifi.safetensors").read_bytes() == b"two"
    assert json.loads((production_dir() / "codec-hifi.json").read_text())["version"] == "second"
    back = services.version_roll_back(kind="codec", preset="hifi")
    assert back.version == first
    assert (production_dir() / "codec-hifi.safetensors").read_bytes() == b"one"
    assert selectors.model_versions_in_production().get() == first
    second.refresh_from_db()
    assert second.stage == "retired"


def test_s2s_models_of_all_presets_share_one_place() -> None:
    """An inference server looks for one: what is promoted must be what it finds at its next start."""
    small, big = (registered(name, name.encode(), kind="s2s", preset=name) for name in ("tiny", "base"))
    services.version_promote(version_id=small.pk)
    assert (production_dir() / "s2s-cpu.safetensors").read_bytes() == b"tiny"
    done = services.version_promote(version_id=big.pk)
    assert done.before == small
    assert (production_dir() / "s2s-cpu.safetensors").read_bytes() == b"base"
    assert selectors.model_versions_in_production().get() == big
    assert selectors.model_version_in_production(kind="s2s", preset="tiny") == big
    assert services.version_roll_back(kind="s2s", preset="base").version == small
    assert (production_dir() / "s2s-cpu.safetensors").read_bytes() == b"tiny"


def test_a_recogniser_lies_where_a_server_looks_for_it() -> None:
    version = registered("mine", b"ears", kind="recogniser", preset="tiny")
    services.version_promote(version_id=version.pk)
    assert (production_dir() / "recogniser.safetensors").read_bytes() == b"ears"


def test_a_codec_that_nobody_would_speak_through_is_not_promoted() -> None:
    version = registered("odd", b"weights", preset="tiny")
    with pytest.raises(ServiceError) as error:
        services.version_promote(version_id=version.pk)
    assert error.value.code == "not_served"
    assert not production_dir().exists()
    assert not selectors.model_versions_in_production().exists()


def test_wrong_bytes_are_not_promoted() -> None:
    first, second = registered("first", b"one"), registered("second", b"two")
    services.version_promote(version_id=first.pk)
    (models_dir() / second.file).write_bytes(b"tampered")
    with pytest.raises(ServiceError) as error:
        services.version_promote(version_id=second.pk)
    assert error.value.code == "bad_weights"
    shutil.rmtree((models_dir() / second.file).parent)
    with pytest.raises(ServiceError):
        services.version_promote(version_id=second.pk)
    assert selectors.model_versions_in_production().get() == first
    assert (production_dir() / "codec-hifi.safetensors").read_bytes() == b"one"


def test_a_server_that_refuses_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which weights a real server refuses: tests of ml.serve. Here two answers of two servers."""
    first, second = registered("first", b"one"), registered("second", b"two")
    services.version_promote(version_id=first.pk)
    asked: list[str] = []

    def answers(version: ModelVersion, path: Path) -> list[services.ServerAnswer]:
        asked.append(version.version)
        good = services.ServerAnswer("unix:///a", True)
        bad = services.ServerAnswer("unix:///b", False, "does not fit")
        return [good, bad] if version == second else [good, good]

    monkeypatch.setattr(promotion, "load_into_servers", answers)
    with pytest.raises(ServiceError, match="does not fit"):
        services.version_promote(version_id=second.pk)
    assert asked == ["second", "first"]  # the one that took it has the former weights again
    assert selectors.model_versions_in_production().get() == first
    assert (production_dir() / "codec-hifi.safetensors").read_bytes() == b"one"


def test_nothing_to_go_back_to() -> None:
    with pytest.raises(ServiceError) as error:
        services.version_roll_back(kind="codec", preset="hifi")
    assert error.value.code == "no_former"


def test_what_cannot_be_put_in_its_place_changes_nothing() -> None:
    """As on a full disk: the card cannot be written beside the weights."""
    first, second = registered("first", b"one"), registered("second", b"two")
    services.version_promote(version_id=first.pk)
    in_the_way = production_dir() / ".codec-hifi.json.new"
    (in_the_way / "something").mkdir(parents=True)
    with pytest.raises(ServiceError) as error:
        services.version_promote(version_id=second.pk)
    assert (error.value.code, error.value.hint) == ("not_placed", _hint_to_make_room())
    assert (production_dir() / "codec-hifi.safetensors").read_bytes() == b"one"
    assert json.loads((production_dir() / "codec-hifi.json").read_text())["version"] == "first"
    assert selectors.model_versions_in_production().get() == first
    shutil.rmtree(in_the_way)
    assert services.version_promote(version_id=second.pk).before == first


def test_the_first_promotion_leaves_nothing_where_it_fails() -> None:
    version = registered("first", b"one")
    (production_dir() / ".codec-hifi.json.new" / "something").mkdir(parents=True)
    with pytest.raises(ServiceError):
        services.version_promote(version_id=version.pk)
    assert not (production_dir() / "codec-hifi.safetensors").exists()
    assert not selectors.model_versions_in_production().exists()


def _hint_to_make_room() -> str:
    return str(gettext("free some space or repair the folder, then promote it"))
