"""A new training: the form made from the trainer's configuration, also as a clone of a run."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from apps.training import kinds, selectors, services
from apps.training.forms import ConfigForm
from apps.training.models import Job
from apps.training.schema import Trainer, check_config, trainers
from apps.training.views.common import needs, uuids_of, whole
from apps.voice.errors import ServiceError


@needs("add_job")
def job_new(request: HttpRequest) -> HttpResponseBase:
    """Choose kind and recipe, change settings, start. ``from=JOB`` begins with another run's settings."""
    given = request.POST if request.method == "POST" else request.GET
    fault: ServiceError | None = None
    form: ConfigForm | None = None
    origin = _job(given.get("from", ""))
    known: dict[str, Trainer] = {}
    kind = given.get("kind") or (kinds.TRAINERS.get(Job.Kind(origin.kind), "") if origin else "")
    try:
        known = trainers()
        kind = kind if kind in known else next(iter(known))
        form = _form(known[kind], given.get("recipe", ""), origin)
        if request.method == "POST" and form.read(request.POST):
            job = _start(request, kind, form, origin)
            return redirect("training:job", job.pk)
    except ServiceError as error:
        fault = error
        if form is not None and error.code == "bad_config" and form.blame(error.message):
            fault = None
    # what was chosen stays chosen when the form comes back with a complaint
    chosen = given.getlist("dataset") or ([str(d.pk) for d in origin.datasets.all()] if origin else [])
    context = {
        "form": form,
        "kind": kind,
        "kinds": list(known),
        "fault": fault,
        "origin": origin,
        "datasets": selectors.datasets_ready(),
        "chosen": chosen,
        "devices": kinds.devices(),
        "device": given.get("device", "") or (origin.device if origin else ""),
        "gpus": given.get("gpus") or (origin.config.get("gpus", 1) if origin else 1),
        "gpus_max": services.GPUS_MAX,
        "name": given.get("name") or (f"{origin.name} ·" if origin else ""),
        "init": given.get("init", ""),
        "starts": _starts(kind),
    }
    template = "training/new_settings.html" if request.headers.get("HX-Request") else "training/new.html"
    status = 422 if request.method == "POST" else 200
    return render(request, template, context, status=status)


def _form(trainer: Trainer, recipe: str, origin: Job | None) -> ConfigForm:
    start: dict[str, Any] | None = None
    if origin is not None and kinds.TRAINERS.get(Job.Kind(origin.kind)) == trainer.kind:
        recipe = recipe or str(origin.config.get("recipe", ""))
        if recipe == origin.config.get("recipe"):
            start = origin.config.get("values")
    return ConfigForm(trainer, recipe, start)


def _start(request: HttpRequest, kind: str, form: ConfigForm, origin: Job | None) -> Job:
    values = dict(form.values)
    config: dict[str, Any] = {"recipe": form.recipe}
    if "init" in {field.name for field in form.trainer.fields}:
        values["init"], config["init_sha256"] = _init(request.POST.get("init", ""))
    config["values"] = check_config(kind, values)
    job_kind = next(k for k, name in kinds.TRAINERS.items() if name == kind)
    datasets = list(selectors.datasets_ready().filter(pk__in=uuids_of(request.POST.getlist("dataset"))))
    return services.job_create(
        kind=job_kind,
        name=(request.POST.get("name") or form.recipe)[:120],
        user=request.user,
        config=config,
        datasets=datasets,
        device=request.POST.get("device") or "cpu",
        gpus=whole(request.POST.get("gpus")) or 1,
        parent=origin,
    )


def _starts(kind: str) -> list[tuple[str, str]]:
    """What a run may start from: runs of the same kind that have found something."""
    job_kind = next((k for k, name in kinds.TRAINERS.items() if name == kind), None)
    rows = selectors.jobs().filter(kind=job_kind)[:50] if job_kind else ()
    found = []
    for row in rows:
        if selectors.run_file_path(job_id=row.pk, name="best.safetensors") is not None:
            found.append((str(row.pk), f"{row.name} ({_('step')} {row.step})"))
    return found


def _init(chosen: str) -> tuple[str, str]:
    if not chosen:
        return "", ""
    job = _job(chosen)
    path = selectors.run_file_path(job_id=job.pk, name="best.safetensors") if job is not None else None
    if path is None or job is None:
        raise ServiceError("no_run", _("the run to start from is gone"), _("choose another, or start anew"))
    version = job.versions.first()
    return str(path), version.sha256 if version is not None else ""


def _job(text: str) -> Job | None:
    found = uuids_of([text])
    return selectors.job_get(job_id=found[0]) if found else None
