"""Sessions and turns for operators: to be looked at and listened to; a session can be ended, and either be deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.voice import services
from apps.voice.admin_widgets import codes_link, latency_table, player
from apps.voice.models import Turn, VoiceSession
from voiceplatform.admin_tools import ReadOnlyAdmin, ReadOnlyMixin, pretty_json


class _Recordings:
    """Columns that turns show in their own list and within their session."""

    @admin.display(description=_("heard"))
    def heard(self, obj: Turn) -> SafeString:
        return player(obj)

    @admin.display(description=_("sent back"))
    def sent_back(self, obj: Turn) -> SafeString:
        return player(obj, output=True)

    @admin.display(description=_("latency"))
    def latency_bars(self, obj: Turn) -> SafeString:
        return latency_table(obj)


class TurnInline(_Recordings, ReadOnlyMixin, admin.TabularInline):
    model = Turn
    extra = 0
    show_change_link = True
    can_delete = False
    fields = ["index", "role", "duration_ms", "interrupted_at_ms", "heard", "sent_back", "latency_bars"]
    readonly_fields = ["heard", "sent_back", "latency_bars"]
    ordering = ["index"]


@admin.register(VoiceSession)
class VoiceSessionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "who", "mode", "status", "speaker", "emotion", "quantizers", "turn_count", "created_at"]
    list_filter = ["status", "mode", "turn_taking", "speaker", "emotion", "created_at"]
    search_fields = ["id", "owner__username", "client", "end_reason"]
    list_select_related = ["owner", "speaker", "emotion"]
    date_hierarchy = "created_at"
    list_per_page = 50
    show_full_result_count = False
    actions = ["end"]
    inlines = [TurnInline]
    # The hash of the token is nobody's business, an operator's neither.
    exclude = ["resume_hash", "guest_key"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoiceSession]:
        return super().get_queryset(request).annotate(turn_total=Count("turns"))

    @admin.display(description=_("who"))
    def who(self, obj: VoiceSession) -> str:
        return obj.owner.get_username() if obj.owner else str(_("guest"))

    @admin.display(description=_("turns"), ordering="turn_total")
    def turn_count(self, obj: Any) -> int:
        return int(obj.turn_total)

    # Ending is no change of a field, so that it asks for the model's change permission itself.
    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("voice.change_voicesession")

    @admin.action(description=_("End selected sessions"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> None:
        running = list(queryset.exclude(status=VoiceSession.Status.ENDED).values_list("pk", flat=True))
        for pk in running:
            services.session_end(session_id=pk, reason="operator")
        words = ngettext("%(n)d session ended.", "%(n)d sessions ended.", len(running)) % {"n": len(running)}
        self.message_user(request, words, messages.SUCCESS)


@admin.register(Turn)
class TurnAdmin(_Recordings, ReadOnlyAdmin):
    list_display = [
        "__str__",
        "session",
        "speaker",
        "emotion",
        "duration_ms",
        "interrupted_at_ms",
        "heard",
        "sent_back",
        "started_at",
    ]
    list_filter = ["role", "session__mode", "speaker", "emotion", "started_at"]
    search_fields = ["id", "session__id", "session__owner__username"]
    list_select_related = ["session", "speaker", "emotion"]
    date_hierarchy = "started_at"
    list_per_page = 50
    show_full_result_count = False
    fields = [
        "session",
        "index",
        "role",
        "speaker",
        "emotion",
        "started_at",
        "ended_at",
        "start_ms",
        "duration_ms",
        "interrupted_at_ms",
        "heard",
        "sent_back",
        "codes_file",
        "latency_bars",
        "models_pretty",
        "stats_pretty",
    ]
    readonly_fields = ["heard", "sent_back", "codes_file", "latency_bars", "models_pretty", "stats_pretty"]

    @admin.display(description=_("codes"))
    def codes_file(self, obj: Turn) -> SafeString:
        return codes_link(obj)

    @admin.display(description=_("models"))
    def models_pretty(self, obj: Turn) -> SafeString:
        return pretty_json(obj.model_versions)

    @admin.display(description=_("figures"))
    def stats_pretty(self, obj: Turn) -> SafeString:
        return pretty_json(obj.stats)
