"""Which weights people talk to: promote, roll back. The row, the files for the next start, and the servers that run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.training.kinds import version_path
from apps.training.models import ModelVersion
from apps.training.paths import production_dir
from apps.training.services.versions import WeightsError, check_weights
from apps.voice.errors import ServiceError
from apps.voice.inference_admin import load_model

logger = logging.getLogger(__name__)

Stage = ModelVersion.Stage
Kind = ModelVersion.Kind
CODEC_PRESETS = ("hifi", "dialogue")
"""What people talk through and what the S2S model speaks; other codecs have no place in an inference server."""
S2S_FILE, RECOGNISER_FILE = "s2s-cpu", "recogniser"
"""Of these there is one place each: whatever its preset, the promoted one takes it."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one inference server made of the new weights; ``answered`` is False where nobody answers."""

    address: str
    ok: bool
    message: str = ""
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Promotion:
    """The version in production now, the one it took the place of, and what the servers said."""

    version: ModelVersion
    before: ModelVersion | None
    servers: tuple[ServerAnswer, ...] = ()


def version_promote(*, version_id: int) -> Promotion:
    """Put a version into production and load it into every running inference server; conversations go on.

    The weights are checked against their sha256 first. When a server refuses them, those that took them get the former
    ones back and nothing is promoted.

    Raises:
        ServiceError: unknown_version, not_served, bad_weights, refused, not_placed.
    """
    version = ModelVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise ServiceError("unknown_version", _("there is no such model version"), _("look at the list of models"))
    if version.kind == Kind.CODEC and version.preset not in CODEC_PRESETS:
        words = _("people talk through codecs named %(served)s; this one is %(preset)s")
        raise ServiceError(
            "not_served",
            words % {"served": ", ".join(CODEC_PRESETS), "preset": version.preset},
            _("clone the run with codec.preset set to one of them, and export that"),
        )
    path = version_path(version)
    try:
        check_weights(path, version.sha256)
    except WeightsError as error:
        raise ServiceError("bad_weights", str(error), _("restore the file, or export the run again")) from None
    before = _same_place(version.kind, version.preset).filter(stage=Stage.PRODUCTION).first()
    answers = load_into_servers(version, path)
    # a server that is away now looks into the folder of promoted weights when it starts
    refused = [answer for answer in answers if answer.answered and not answer.ok]
    if refused:
        if before is not None and any(answer.ok for answer in answers):
            load_into_servers(before, version_path(before))
        words = "; ".join(f"{answer.address}: {answer.message}" for answer in refused)
        raise ServiceError("refused", _("an inference server refused it: %(words)s") % {"words": words})
    try:
        _place(version, path)
        version = _set_stage(version.pk)
    except BaseException as error:
        if before is not None:
            with contextlib.suppress(OSError):  # where nothing can be written, it lies there still
                _place(before, version_path(before))
            load_into_servers(before, version_path(before))
        if isinstance(error, OSError):
            words = _("it cannot be put in its place: %(error)s") % {"error": error.strerror or error}
            raise ServiceError(
                "not_placed", words, _("free some space or repair the folder, then promote it")
            ) from None
        raise
    return Promotion(version, before, tuple(answers))


def version_roll_back(*, kind: str, preset: str) -> Promotion:
    """Promote again what was in production before. Raises ServiceError no_former, and as version_promote."""
    retired = _same_place(kind, preset).filter(stage=Stage.RETIRED)
    former = retired.filter(promoted_at__isnull=False).order_by("-promoted_at").first() or retired.first()
    if former is None:
        raise ServiceError("no_former", _("there is no former version to go back to"))
    return version_promote(version_id=former.pk)


def _same_place(kind: str, preset: str) -> QuerySet[ModelVersion]:
    """Versions of which one at a time is in production."""
    versions = ModelVersion.objects.filter(kind=kind)
    return versions.filter(preset=preset) if kind == Kind.CODEC else versions


def load_into_servers(version: ModelVersion, path: Path) -> Sequence[ServerAnswer]:
    """Ask every inference server that answers to serve these weights from now on."""
    if version.kind not in ("codec", "s2s"):  # a recogniser is no part of the live path
        return ()
    kind = cast(Literal["codec", "s2s"], version.kind)
    answers = load_model(kind=kind, preset=version.preset, file=str(path.resolve()), sha256=version.sha256)
    return [ServerAnswer(a.address, a.ok, a.message, a.answered) for a in answers]


@transaction.atomic
def _set_stage(version_id: int) -> ModelVersion:
    version = ModelVersion.objects.select_for_update(of=("self",)).get(pk=version_id)
    in_place = _same_place(version.kind, version.preset).filter(stage=Stage.PRODUCTION)
    others = in_place.select_for_update(of=("self",))
    now = timezone.now()
    for row in others.exclude(pk=version.pk):
        row.stage = Stage.RETIRED
        row.promoted_at = row.promoted_at or row.created_at
        row.full_clean()
        row.save()
    version.stage = Stage.PRODUCTION
    version.promoted_at = now
    version.full_clean()
    version.save()
    return version


def _place(version: ModelVersion, path: Path) -> None:
    """Put weights and card where an inference server looks first at its start: weights by link, both or none.

    Raises:
        OSError: there is no room, or no leave, to write; what was there stays.
    """
    folder = production_dir()
    folder.mkdir(parents=True, exist_ok=True)
    places = {Kind.S2S: S2S_FILE, Kind.RECOGNISER: RECOGNISER_FILE}
    name = places.get(Kind(version.kind), f"{version.kind}-{version.preset}")
    card = path.with_suffix(".json")
    ready = []
    for source, suffix in ((path, ".safetensors"), (card, ".json")):
        fresh = folder / f".{name}{suffix}.new"
        fresh.unlink(missing_ok=True)
        if suffix == ".json" and not source.exists():
            fresh.write_text(json.dumps(version.card), encoding="utf-8")
        else:
            fresh.symlink_to(source.resolve())
        ready.append((fresh, folder / f"{name}{suffix}"))
    for fresh, target in ready:  # takes no room: once both are there, neither fails for that
        os.replace(fresh, target)
