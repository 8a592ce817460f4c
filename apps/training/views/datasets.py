"""Datasets: list, make, upload, ingest, look and listen, delete."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.training import plots, selectors, services
from apps.training.forms import DatasetForm
from apps.training.models import Dataset, Job
from apps.training.services.corpus import MAX_FILE_BYTES
from apps.training.services.datasets import PAIR_SIZES
from apps.training.services.uploads import MAX_ARCHIVE_BYTES
from apps.training.views.common import dataset_or_404, file_response, needs, tell_fault, telling, whole
from apps.voice.errors import ServiceError

CLIPS_A_PAGE = 20


def _to_dataset(kwargs: dict[str, Any]) -> str:
    return reverse("training:dataset", args=[kwargs["dataset_id"]])


def _to_list(_kwargs: dict[str, Any]) -> str:
    return reverse("training:datasets")


def _text(file: UploadedFile) -> str:
    """A small text file; a large one is cut just beyond what is taken, so that it is refused."""
    return file.read(MAX_FILE_BYTES + 1).decode("utf-8", "replace")


@needs("view_dataset")
def dataset_list(request: HttpRequest) -> HttpResponse:
    """All datasets, and the form for a new one."""
    form = DatasetForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and request.user.has_perm("training.add_dataset") and form.is_valid():
        dataset = services.dataset_create(user=request.user, **form.cleaned_data)
        return redirect("training:dataset", dataset.pk)
    rows = selectors.datasets()
    total = rows.filter(status=Dataset.Status.READY).aggregate(seconds=Sum("seconds"), clips=Sum("clips"))
    return render(
        request, "training/datasets.html", {"datasets": rows, "form": form, "total": total, "sizes": PAIR_SIZES}
    )


@require_POST
@needs("add_dataset")
@telling(_to_list)
def dataset_pairs(request: HttpRequest) -> HttpResponseBase:
    """Have our own voices speak the corpus."""
    name = request.POST.get("name") or _("Pairs")
    topics = {str(file.name): _text(file) for file in request.FILES.getlist("topics")}
    job = services.dataset_make_pairs(
        name=name, size=request.POST.get("size", ""), topics=topics or None, user=request.user
    )
    return redirect("training:job", job.pk)


@require_POST
@needs("add_job")
@telling(_to_dataset)
def dataset_codes(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Encode its pairs with the dialogue codec: what a speech-to-speech training reads."""
    dataset = dataset_or_404(dataset_id)
    job = services.job_create(kind=Job.Kind.CODES, name=dataset.name, user=request.user, datasets=[dataset])
    return redirect("training:job", job.pk)


@require_safe
@needs("view_dataset")
def dataset_detail(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """Hours, plots, clips to hear; files can be added."""
    return render(request, "training/dataset.html", _about(request, dataset_id))


@require_safe
@needs("view_dataset")
def dataset_live(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """The part of the page that changes while it is being ingested."""
    context = _about(request, dataset_id)
    response = render(request, "training/dataset_live.html", context)
    if context["dataset"].status != Dataset.Status.INGESTING:
        response["HX-Refresh"] = "true"
    return response


def _about(request: HttpRequest, dataset_id: UUID) -> dict[str, Any]:
    dataset = dataset_or_404(dataset_id)
    start = whole(request.GET.get("start"))
    page = selectors.dataset_manifest(dataset_id=dataset_id, start=start, count=CLIPS_A_PAGE)
    jobs = selectors.jobs().filter(datasets=dataset)
    return {
        "dataset": dataset,
        "form": DatasetForm(instance=dataset),
        "page": page,
        "next_start": start + CLIPS_A_PAGE if start + CLIPS_A_PAGE < page.total else None,
        "previous_start": max(0, start - CLIPS_A_PAGE) if start else None,
        "last": min(start + CLIPS_A_PAGE, page.total),
        "lengths": plots.bars(dataset.stats.get("lengths"), unit="s"),
        "levels": plots.bars(dataset.stats.get("levels"), unit="dB"),
        "speakers": plots.shares(dataset.stats.get("speakers")),
        "ingest": jobs.filter(kind__in=(Job.Kind.INGEST, Job.Kind.PAIRS)).first(),
        "jobs": jobs.exclude(kind__in=(Job.Kind.INGEST, Job.Kind.PAIRS))[:10],
        "limit_mb": MAX_ARCHIVE_BYTES >> 20,
    }


@require_POST
@needs("change_dataset")
@telling(_to_dataset)
def dataset_change(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Other words about it."""
    form = DatasetForm(request.POST, instance=dataset_or_404(dataset_id))
    if form.is_valid():
        services.dataset_update(dataset_id=dataset_id, **form.cleaned_data)
        messages.success(request, _("Saved."))
    return redirect("training:dataset", dataset_id)


@require_POST
@needs("change_dataset")
def dataset_upload(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Files for a dataset. A script sends one at a time and gets JSON; a plain form sends all and comes back."""
    plain = "application/json" not in request.headers.get("Accept", "")
    received = []
    try:
        for upload in request.FILES.getlist("files"):
            received.append(services.upload_store(dataset_id=dataset_id, upload=upload))
        if not received:
            raise ServiceError("no_files", _("no file was sent"), _("choose some recordings"))
    except ServiceError as fault:
        if plain:
            tell_fault(request, fault)
            return redirect("training:dataset", dataset_id)
        status = 413 if fault.code == "too_big" else 507 if fault.code == "disk_full" else 400
        return JsonResponse({"code": fault.code, "message": fault.message, "hint": fault.hint}, status=status)
    count = sum(one.files for one in received)
    if plain:
        messages.success(request, ngettext("%(n)d recording added.", "%(n)d recordings added.", count) % {"n": count})
        return redirect("training:dataset", dataset_id)
    left_out = [row for one in received for row in one.left_out]
    return JsonResponse({"files": count, "bytes": sum(one.bytes for one in received), "left_out": left_out}, status=201)


@require_POST
@needs("change_dataset")
@telling(_to_dataset)
def dataset_ingest(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Make clips and a manifest of what was sent."""
    services.dataset_ingest(dataset_id=dataset_id, user=request.user)
    return redirect("training:dataset", dataset_id)


@require_POST
@needs("delete_dataset")
@telling(_to_dataset)
def dataset_delete(request: HttpRequest, dataset_id: UUID) -> HttpResponseBase:
    """Remove it with its recordings."""
    services.dataset_delete(dataset_id=dataset_id)
    messages.success(request, _("The dataset and its recordings were deleted."))
    return redirect("training:datasets")


@require_safe
@needs("view_dataset")
def dataset_audio(request: HttpRequest, dataset_id: UUID, name: str) -> HttpResponseBase:
    """A clip, by the name its manifest gives."""
    return file_response(request, selectors.dataset_audio_path(dataset_id=dataset_id, name=name))
