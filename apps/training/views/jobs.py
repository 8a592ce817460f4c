"""Jobs: overview, list, one with its curves and samples, compare; start, stop, go on, export, delete."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.training import kinds, selectors, services
from apps.training.models import Job
from apps.training.paths import run_folder
from apps.training.supervisor import failures
from apps.training.supervisor.progress import columns
from apps.training.views.common import file_response, job_or_404, needs, telling, uuids_of, whole

LOG_LINES = 40
ALIVE_S = 120.0


def _to_job(kwargs: dict[str, Any]) -> str:
    return reverse("training:job", args=[kwargs["job_id"]])


@require_safe
@needs("view_job")
def overview(request: HttpRequest) -> HttpResponse:
    """What runs, what waits, what people talk to, and whether anybody works."""
    ages = selectors.heartbeat_ages(now=timezone.now())
    return render(
        request,
        "training/overview.html",
        {
            "active": selectors.jobs_active(),
            "recent": selectors.jobs().filter(status__in=Job.FINAL)[:6],
            "datasets": selectors.datasets()[:4],
            "production": selectors.model_versions_in_production(),
            "workers": [(queue, age, age < ALIVE_S) for queue, age in sorted(ages.items())],
            "stuck": bool(ages) and all(age > ALIVE_S for age in ages.values()),
        },
    )


@require_safe
@needs("view_job")
def overview_live(request: HttpRequest) -> HttpResponse:
    """The running jobs of the overview, anew."""
    return render(request, "training/active_jobs.html", {"active": selectors.jobs_active()})


@require_safe
@needs("view_job")
def job_list(request: HttpRequest) -> HttpResponse:
    """All jobs, by kind and state."""
    rows = selectors.jobs()
    chosen = {name: request.GET.get(name, "") for name in ("kind", "status")}
    rows = rows.filter(**{name: value for name, value in chosen.items() if value})
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    context = {"page": page, "chosen": chosen, "kinds": Job.Kind.choices, "statuses": Job.Status.choices}
    return render(request, "training/jobs.html", context)


@require_safe
@needs("view_job")
def job_detail(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One job: state, curves, samples, log, configuration."""
    job = job_or_404(job_id)
    context = _about(job)
    context |= {
        "samples": selectors.run_samples(job_id=job_id),
        "versions": selectors.model_versions().filter(kind=kinds.TRAINERS.get(Job.Kind(job.kind), "")),
        "settings": sorted(_flat(job.config.get("values", {})).items()),
        "others": selectors.jobs().filter(kind=job.kind).exclude(pk=job.pk)[:20] if job.is_training else [],
        "made": job.versions.all(),
        "children": job.children.all()[:20],
        "run_folder": run_folder(job_id),
    }
    return render(request, "training/job.html", context)


@require_safe
@needs("view_job")
def job_live(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """State, progress and log, anew; the last time it says so to the page, which then loads the rest."""
    job = job_or_404(job_id)
    response = render(request, "training/job_live.html", _about(job))
    if job.is_over:
        response["HX-Refresh"] = "true"
    return response


@require_safe
@needs("view_job")
def job_samples(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """What there is to hear by now."""
    context = {"job": job_or_404(job_id), "samples": selectors.run_samples(job_id=job_id)}
    return render(request, "training/samples.html", context)


@require_safe
@needs("view_job")
def job_metrics(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """The curves: a column of numbers per metric."""
    job = job_or_404(job_id)
    names = {"metrics.jsonl", "progress.jsonl"}
    path = next((run_folder(job_id) / n for n in sorted(names) if (run_folder(job_id) / n).is_file()), None)
    found = columns(path) if path is not None else {"step": []}
    return JsonResponse({"name": job.name, "status": job.status, "over": job.is_over, "columns": found})


@require_safe
@needs("view_job")
def job_file(request: HttpRequest, job_id: UUID, name: str) -> HttpResponseBase:
    """A file of the run: sample, log, weights."""
    return file_response(request, selectors.run_file_path(job_id=job_id, name=name))


@require_safe
@needs("view_job")
def job_compare(request: HttpRequest) -> HttpResponse:
    """Runs side by side: curves in one chart, what was set differently, how far each got."""
    ids = uuids_of(request.GET.getlist("job")[:6])
    chosen = [job for job in (selectors.job_get(job_id=job_id) for job_id in ids) if job is not None]
    names = sorted({name for job in chosen for name in job.metrics})
    return render(
        request,
        "training/compare.html",
        {
            "chosen": chosen,
            "differences": selectors.config_differences(chosen),
            "figures": [(name, [job.metrics.get(name) for job in chosen]) for name in names],
            "others": selectors.jobs().filter(kind__startswith="train_").exclude(pk__in=ids)[:30],
        },
    )


@require_POST
@needs("change_job")
@telling(_to_job)
def job_cancel(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Stop it, with a checkpoint."""
    services.job_cancel(job_id=job_id)
    return redirect("training:job", job_id)


@require_POST
@needs("change_job")
@telling(_to_job)
def job_resume(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Go on from the last checkpoint."""
    services.job_resume(job_id=job_id)
    return redirect("training:job", job_id)


@require_POST
@needs("delete_job")
@telling(_to_job)
def job_delete(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Remove it with everything it wrote."""
    services.job_delete(job_id=job_id)
    messages.success(request, _("The job and its files were deleted."))
    return redirect("training:jobs")


@require_POST
@needs("add_job")
@telling(_to_job)
def job_export(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Make a model version of its best weights."""
    job = job_or_404(job_id)
    config = {"version": request.POST.get("version", "").strip()[:40]}
    made = services.job_create(
        kind=Job.Kind.EXPORT, name=f"{_('export')}: {job.name}"[:120], user=request.user, parent=job, config=config
    )
    return redirect("training:job", made.pk)


@require_POST
@needs("add_job")
@telling(_to_job)
def job_hear(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Let another model version speak the same clips, for A/B by ear."""
    job = job_or_404(job_id)
    version = selectors.model_versions().filter(pk=whole(request.POST.get("version"))).first()
    services.job_create(
        kind=Job.Kind.SAMPLES, name=f"A/B: {job.name}"[:120], user=request.user, parent=job, model_version=version
    )
    messages.success(request, _("The same clips are being made with that model; they appear here in a moment."))
    return redirect("training:job", job_id)


def _about(job: Job) -> dict[str, Any]:
    log = run_folder(job.pk) / "log.txt"
    return {
        "job": job,
        "log": failures.tail(log, LOG_LINES),
        "ahead": _ahead(job),
        "metrics": [(name, value) for name, value in job.metrics.items()],
        "eta": _duration(job.eta_seconds),
        "took": _duration(int((job.ended_at - job.started_at).total_seconds()))
        if job.ended_at and job.started_at
        else "",
    }


def _ahead(job: Job) -> int:
    """How many wait or run before a queued job."""
    if job.status != Job.Status.QUEUED:
        return 0
    return selectors.jobs_active().filter(queue=job.queue, created_at__lt=job.created_at).count()


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
