"""What the dashboard's views share: who may, what went wrong, files with ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.files.storage import FileSystemStorage
from django.db.models.fields.files import FieldFile, FileField
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from apps.training.models import Dataset, Job
from apps.voice.errors import ServiceError
from apps.voice.ranges import ranged_response

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
TYPES = {".flac": "audio/flac", ".wav": "audio/wav", ".json": "application/json", ".jsonl": "application/x-ndjson"}


def needs(permission: str) -> Callable[[View[P]], View[P]]:
    """Log in first; without the permission of the training app the answer is 403."""

    def around(view: View[P]) -> View[P]:
        allowed = permission_required(f"training.{permission}", raise_exception=True)(view)
        return never_cache(login_required(allowed))

    return around


def telling(back: Callable[[dict[str, Any]], str]) -> Callable[[View[P]], View[P]]:
    """For actions: what a service refuses is shown on the page that one comes back to."""

    def around(view: View[P]) -> View[P]:
        @wraps(view)
        def inner(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                return view(request, *args, **kwargs)
            except ServiceError as fault:
                tell_fault(request, fault)
                return redirect(back(dict(kwargs)))

        return cast(View[P], inner)

    return around


def tell_fault(request: HttpRequest, fault: ServiceError) -> None:
    """A service's refusal as a message for the next page."""
    words = f"{_(fault.message) if fault.message else fault.code}"
    messages.error(request, f"{words}: {_(fault.hint)}" if fault.hint else words)


def uuids_of(texts: Iterable[str]) -> list[UUID]:
    """Those of the texts that are ids; what a form sends may be anything."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def whole(text: str | None, default: int = 0) -> int:
    """A number from a query or a form, `default` for anything else."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else default


def job_or_404(job_id: UUID) -> Job:
    """The job, or the page that says there is none."""
    return get_object_or_404(Job.objects.select_related("parent", "model_version", "created_by"), pk=job_id)


def dataset_or_404(dataset_id: UUID) -> Dataset:
    """The dataset, or the page that says there is none."""
    return get_object_or_404(Dataset, pk=dataset_id)


def file_response(request: HttpRequest, path: Path | None) -> HttpResponseBase:
    """A file, in ranges where asked for. Raises Http404 without one."""
    if path is None:
        raise Http404(_("There is no such recording."))
    about = path.stat()
    field: FileField = FileField(storage=FileSystemStorage(location=path.parent))
    stored = FieldFile(None, field, path.name)  # type: ignore[arg-type]
    etag = f"{about.st_mtime_ns:x}-{about.st_size:x}"
    content_type = TYPES.get(path.suffix, "application/octet-stream")
    response = ranged_response(request, stored, content_type=content_type, etag=etag)
    if path.suffix not in TYPES:
        response["Content-Disposition"] = f'attachment; filename="{path.name}"'
    return response
