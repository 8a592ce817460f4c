"""Model versions and worker heartbeats, to be looked at: registration and workers write them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.training.models import ModelVersion, WorkerHeartbeat
from voiceplatform.admin_tools import ReadOnlyAdmin, pretty_json


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "kind", "preset", "version", "stage", "created_at"]
    list_filter = ["stage", "kind", "preset"]
    search_fields = ["preset", "version", "sha256", "file"]
    fields = ["kind", "preset", "version", "file", "sha256", "stage", "card_pretty", "created_at", "updated_at"]
    readonly_fields = ["card_pretty"]

    @admin.display(description=_("card"))
    def card_pretty(self, obj: ModelVersion) -> SafeString:
        return pretty_json(obj.card)


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["queue", "worker", "beat_at"]
