"""Datasets, jobs, model versions and workers: lists that filter, and what one does to many rows at once.

The training pages make, start and show them at length; each row leads there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apps.training import services
from apps.training.models import Dataset, DeviceLease, Job, ModelVersion, WorkerHeartbeat
from apps.voice.errors import ServiceError
from voiceplatform.admin_tools import MomentsFilter, ReadOnlyAdmin, pretty_json


class _TrainingAdmin(ReadOnlyAdmin):
    """Rows whose truth the services write; ``page`` is the name of their page among the training pages."""

    page: str
    plain_delete = False

    @admin.display(description=_("training pages"))
    def open_page(self, obj: Any) -> SafeString:
        return format_html(
            '<a class="text-link" href="{}">{}</a>', reverse(f"training:{self.page}", args=[obj.pk]), gettext("open")
        )

    def _each(self, request: HttpRequest, rows: QuerySet[Any], do: Callable[[Any], object], done: str) -> None:
        """Do it to each row; what a service refuses is told with its reason, the others are done."""
        count = 0
        for row in rows:
            try:
                do(row)
                count += 1
            except ServiceError as error:
                self.message_user(request, f"{row}: {error.message}; {error.hint}", messages.WARNING)
        if count:
            self.message_user(request, done % {"n": count}, messages.SUCCESS)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        if not self.plain_delete:
            found.pop("delete_selected", None)  # it would leave files and running processes behind
        return found

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.plain_delete and super().has_delete_permission(request, obj)


@admin.register(Dataset)
class DatasetAdmin(_TrainingAdmin):
    page = "dataset"
    list_display = ["name", "status_label", "source", "clips", "length", "licence", "created_at", "open_page"]
    list_filter = [("status", ChoicesDropdownFilter), ("source", ChoicesDropdownFilter)]
    search_fields = ["name", "description", "licence"]
    list_select_related = ["created_by"]
    actions = ["ingest", "remove"]
    fields = [
        *["open_page", "name", "description", "licence", "source", "status", "message", "files", "clips", "length"],
        *["speakers", "manifest_sha256", "stats_pretty", "lineage_pretty", "created_by", "created_at", "updated_at"],
    ]
    readonly_fields = ["open_page", "length", "stats_pretty", "lineage_pretty"]

    @display(
        description=_("state"),
        ordering="status",
        label={"open": "info", "ingesting": "warning", "ready": "success", "failed": "danger"},
    )
    def status_label(self, obj: Dataset) -> tuple[str, str]:
        return obj.status, obj.get_status_display()

    @admin.display(description=_("hours"), ordering="seconds")
    def length(self, obj: Dataset) -> str:
        return f"{obj.hours:.2f}"

    @admin.display(description=_("figures"))
    def stats_pretty(self, obj: Dataset) -> SafeString:
        return pretty_json(obj.stats)

    @admin.display(description=_("lineage"))
    def lineage_pretty(self, obj: Dataset) -> SafeString:
        return pretty_json(obj.lineage)

    def has_ingest_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["training.change_dataset", "training.add_job"])

    @admin.action(description=_("Ingest"), permissions=["ingest"])
    def ingest(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        def start(row: Dataset) -> object:
            return services.dataset_ingest(dataset_id=row.pk, user=request.user)

        self._each(request, queryset, start, gettext("Ingest jobs started: %(n)d."))

    @admin.action(description=_("Delete with their files"), permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        done = gettext("Datasets deleted: %(n)d.")
        self._each(request, queryset, lambda row: services.dataset_delete(dataset_id=row.pk), done)


@admin.register(Job)
class JobAdmin(_TrainingAdmin):
    page = "job"
    list_display = ["name", "kind", "status_label", "share", "left", "attempt", "created_by", "created_at", "open_page"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", MomentsFilter),
    ]
    search_fields = ["name", "message"]
    list_select_related = ["created_by"]
    actions = ["cancel", "resume", "remove"]
    fields = [
        *["open_page", "name", "kind", "status", "message", "advice", "stage", "share", "attempt", "worker", "device"],
        *["config_pretty", "metrics_pretty", "result_pretty", "created_by", "created_at", "started_at", "ended_at"],
    ]
    readonly_fields = ["open_page", "share", "config_pretty", "metrics_pretty", "result_pretty"]

    @display(
        description=_("state"),
        ordering="status",
        label={
            **dict.fromkeys(["queued", "starting", "interrupted"], "info"),
            **dict.fromkeys(["running"], "primary"),
            **dict.fromkeys(["stopping", "cancelled"], "warning"),
            "succeeded": "success",
            "failed": "danger",
        },
    )
    def status_label(self, obj: Job) -> tuple[str, str]:
        return obj.status, obj.get_status_display()

    @admin.display(description=_("progress"), ordering="progress")
    def share(self, obj: Job) -> SafeString:
        return format_html(
            '<progress class="share" max="1" value="{}"></progress> {}', obj.progress, f"{obj.progress:.0%}"
        )

    @admin.display(description=_("left"))
    def left(self, obj: Job) -> str:
        seconds = obj.eta_seconds
        if seconds is None or obj.status not in Job.ACTIVE:
            return "–"
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"

    @admin.display(description=_("configuration"))
    def config_pretty(self, obj: Job) -> SafeString:
        return pretty_json(obj.config)

    @admin.display(description=_("metrics"))
    def metrics_pretty(self, obj: Job) -> SafeString:
        return pretty_json(obj.metrics)

    @admin.display(description=_("result"))
    def result_pretty(self, obj: Job) -> SafeString:
        return pretty_json(obj.result)

    # These change no field by hand, so that they ask for the model's change permission themselves.
    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training.change_job")

    @admin.action(description=_("Cancel"), permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, lambda row: services.job_cancel(job_id=row.pk), gettext("Jobs stopping: %(n)d."))

    @admin.action(description=_("Resume"), permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, lambda row: services.job_resume(job_id=row.pk), gettext("Jobs queued: %(n)d."))

    @admin.action(description=_("Delete with their runs"), permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._each(request, queryset, lambda row: services.job_delete(job_id=row.pk), gettext("Jobs deleted: %(n)d."))


@admin.register(ModelVersion)
class ModelVersionAdmin(_TrainingAdmin):
    page = "model"
    list_display = ["__str__", "kind", "preset", "version", "stage_label", "created_at", "open_page"]
    list_filter = [("stage", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter)]
    search_fields = ["preset", "version", "sha256", "file"]
    actions = ["promote"]
    fields = [
        *["open_page", "kind", "preset", "version", "stage", "promoted_at", "file", "sha256", "job", "parent"],
        *["card_pretty", "metrics_pretty", "created_at", "updated_at"],
    ]
    readonly_fields = ["open_page", "card_pretty", "metrics_pretty"]

    @display(
        description=_("stage"),
        ordering="stage",
        label={"production": "success", "staged": "info", "retired": "default"},
    )
    def stage_label(self, obj: ModelVersion) -> tuple[str, str]:
        return obj.stage, obj.get_stage_display()

    @admin.display(description=_("card"))
    def card_pretty(self, obj: ModelVersion) -> SafeString:
        return pretty_json(obj.card)

    @admin.display(description=_("metrics"))
    def metrics_pretty(self, obj: ModelVersion) -> SafeString:
        return pretty_json(obj.metrics)

    def has_promote_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training.promote_modelversion")

    @admin.action(description=_("Promote to production"), permissions=["promote"])
    def promote(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> None:
        if queryset.count() != 1:
            self.message_user(request, gettext("Choose exactly one version to promote."), messages.ERROR)
            return
        done = gettext("Versions promoted: %(n)d.")
        self._each(request, queryset, lambda row: services.version_promote(version_id=row.pk), done)


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["queue", "worker", "beat_at", "age"]

    @admin.display(description=_("age"))
    def age(self, obj: WorkerHeartbeat) -> str:
        seconds = int((timezone.now() - obj.beat_at).total_seconds())
        return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}


@admin.register(DeviceLease)
class DeviceLeaseAdmin(ReadOnlyAdmin):
    list_display = ["device", "job", "lease_until"]
    list_select_related = ["job"]
