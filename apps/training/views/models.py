"""Model versions: what people talk to, what waits, what was before; promote, roll back, evaluate."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.training import kinds, selectors, services
from apps.training.models import Job, ModelVersion
from apps.training.services import Promotion
from apps.training.views.common import needs, telling, uuids_of


def _to_models(_kwargs: dict[str, Any]) -> str:
    return reverse("training:models")


def _to_model(kwargs: dict[str, Any]) -> str:
    return reverse("training:model", args=[kwargs["version_id"]])


@require_safe
@needs("view_modelversion")
def model_list(request: HttpRequest) -> HttpResponse:
    """All versions by kind and preset."""
    groups: dict[tuple[str, str], list[ModelVersion]] = {}
    for version in selectors.model_versions():
        groups.setdefault((version.kind, version.preset), []).append(version)
    order = {"production": 0, "staged": 1, "retired": 2}
    rows = [
        (kind, preset, sorted(versions, key=lambda v: order[v.stage]), any(v.stage == "retired" for v in versions))
        for (kind, preset), versions in groups.items()
    ]
    return render(request, "training/models.html", {"groups": rows})


@require_safe
@needs("view_modelversion")
def model_detail(request: HttpRequest, version_id: int) -> HttpResponse:
    """Card, figures, lineage."""
    version = get_object_or_404(ModelVersion.objects.select_related("job", "parent"), pk=version_id)
    current = selectors.model_version_in_production(kind=version.kind, preset=version.preset)
    context = {
        "version": version,
        "current": current,
        "datasets": selectors.datasets_to_measure_on(kind=version.kind),
        "jobs": version.jobs.all()[:10],
        "there": kinds.version_path(version).is_file(),
        "figures": _figures(version, current),
    }
    return render(request, "training/model.html", context)


@require_POST
@needs("promote_modelversion")
@telling(_to_model)
def model_promote(request: HttpRequest, version_id: int) -> HttpResponseBase:
    """From now on people talk to this one."""
    _tell(request, services.version_promote(version_id=version_id))
    return redirect("training:models")


@require_POST
@needs("promote_modelversion")
@telling(_to_models)
def model_roll_back(request: HttpRequest) -> HttpResponseBase:
    """Back to the version before."""
    kind, preset = request.POST.get("kind", ""), request.POST.get("preset", "")
    _tell(request, services.version_roll_back(kind=kind, preset=preset))
    return redirect("training:models")


@require_POST
@needs("add_job")
@telling(_to_model)
def model_evaluate(request: HttpRequest, version_id: int) -> HttpResponseBase:
    """Measure it on a dataset."""
    version = get_object_or_404(ModelVersion, pk=version_id)
    datasets = list(selectors.datasets_ready().filter(pk__in=uuids_of(request.POST.getlist("dataset"))))
    job = services.job_create(
        kind=Job.Kind.EVALUATE,
        name=f"{_('evaluate')}: {version.preset} {version.version}"[:120],
        user=request.user,
        datasets=datasets,
        model_version=version,
        config={"limit": 20},
    )
    return redirect("training:job", job.pk)


def _tell(request: HttpRequest, promotion: Promotion) -> None:
    words = _("%(version)s is in production.") % {"version": promotion.version}
    loaded = sum(answer.ok for answer in promotion.servers)
    if loaded:
        words += " " + _("%(n)d inference servers use it from now on; conversations go on.") % {"n": loaded}
    else:
        words += " " + _("No inference server was running; the next one to start uses it.")
    messages.success(request, words)


def _figures(version: ModelVersion, current: ModelVersion | None) -> list[tuple[str, Any, Any]]:
    """Name, this version's figure, production's."""
    other = current.metrics if current is not None and current.pk != version.pk else {}
    return [(name, value, other.get(name)) for name, value in version.metrics.items() if isinstance(value, int | float)]
