"""Turns for operators: to listen to, judge, hand on to training, and delete; all through services."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from apps.training.models import Dataset
from apps.training.selectors import datasets_open_for_turns
from apps.training.services import dataset_add_turns
from apps.voice import services
from apps.voice.admin.filters import InterruptedFilter, MarkFilter, TurnLatencyFilter
from apps.voice.admin.forms import TurnForm
from apps.voice.admin.search import turn_condition
from apps.voice.admin.shared import few, moment, voice_of
from apps.voice.admin.widgets import DASH, codes_picture, latency_bar, latency_breakdown, player
from apps.voice.models import Turn
from voiceplatform.admin_tools import HouseAdmin, MomentsFilter, pretty_json


@admin.register(Turn)
class TurnAdmin(HouseAdmin):
    form = TurnForm
    list_display = ["when", "side", "voice", "sound", "stages", "interrupted", "mark_label"]
    list_display_links = ["when"]
    list_filter = [
        MarkFilter,
        ("role", ChoicesDropdownFilter),
        ("speaker", RelatedDropdownFilter),
        ("emotion", RelatedDropdownFilter),
        TurnLatencyFilter,
        InterruptedFilter,
        ("started_at", MomentsFilter),
    ]
    search_fields = ["pk"]
    search_help_text = _("turn id, session id or user")
    ordering = ["-started_at", "-pk"]
    list_disable_select_all = True
    actions = ["mark_good", "mark_bad", "unmark", "add_to_dataset"]
    fieldsets = [
        (None, {"fields": [("session_link", "spoken_at"), ("role", "voice"), ("interrupted", "length")]}),
        (_("By ear"), {"fields": ["heard", "sent_back"]}),
        (_("Judgement"), {"fields": ["mark", "mark_note", "marked"]}),
        (_("Latency"), {"fields": ["breakdown"]}),
        (_("Codes and models"), {"fields": ["codes_file", ("models_pretty", "stats_pretty")]}),
    ]
    readonly_fields = [
        *["session_link", "spoken_at", "role", "voice", "interrupted", "length", "heard", "sent_back", "marked"],
        *["breakdown", "codes_file", "models_pretty", "stats_pretty"],
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Turn]:
        return Turn.objects.select_related("session__owner", "speaker", "emotion", "marked_by")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (queryset.filter(turn_condition(term)) if term else queryset), False

    # -- columns -------------------------------------------------------------------------------------------

    @display(description=_("when"), header=True, ordering="started_at")
    def when(self, obj: Turn) -> list[Any]:
        owner = obj.session.owner
        return [moment(obj.started_at), f"{owner.get_username() if owner else gettext('guest')} #{obj.index}"]

    @admin.display(description=_("when"))
    def spoken_at(self, obj: Turn) -> str:
        return f"{moment(obj.started_at)} · #{obj.index}"

    @display(description=_("side"), ordering="role", label={"user": "info", "assistant": "primary"})
    def side(self, obj: Turn) -> tuple[str, str]:
        return obj.role, obj.get_role_display()

    @admin.display(description=_("voice"))
    def voice(self, obj: Turn) -> SafeString:
        return voice_of(obj)

    @admin.display(description=_("sound"))
    def sound(self, obj: Turn) -> SafeString:
        players = [
            player(obj, output=output) for output in (False, True) if (obj.output_audio if output else obj.audio)
        ]
        return format_html_join("", "<div>{}</div>", ((one,) for one in players)) if players else DASH

    @admin.display(description=_("heard"))
    def heard(self, obj: Turn) -> SafeString:
        return player(obj)

    @admin.display(description=_("sent back"))
    def sent_back(self, obj: Turn) -> SafeString:
        return player(obj, output=True)

    @admin.display(description=_("latency"), ordering="response_ms")
    def stages(self, obj: Turn) -> SafeString:
        return latency_bar(obj)

    @admin.display(description=_("latency"))
    def breakdown(self, obj: Turn) -> SafeString:
        return latency_breakdown(obj)

    @admin.display(description=_("interrupted"))
    def interrupted(self, obj: Turn) -> str:
        if obj.interrupted_at_ms is None:
            return "–"
        return gettext("at %(at)s of %(all)s s") % {
            "at": f"{obj.interrupted_at_ms / 1000:.1f}",
            "all": f"{obj.duration_ms / 1000:.1f}",
        }

    @admin.display(description=_("length"))
    def length(self, obj: Turn) -> str:
        return f"{obj.duration_ms / 1000:.1f} s"

    @display(description=_("mark"), label={"good": "success", "bad": "danger"})
    def mark_label(self, obj: Turn) -> tuple[str, str] | None:
        return (obj.mark, obj.get_mark_display()) if obj.mark else None

    @admin.display(description=_("marked"))
    def marked(self, obj: Turn) -> str:
        return f"{obj.marked_by or '–'}, {moment(obj.marked_at)}" if obj.marked_at else "–"

    @admin.display(description=pgettext_lazy("conversation", "session"))
    def session_link(self, obj: Turn) -> SafeString:
        address = reverse("admin:voice_voicesession_change", args=[obj.session_id])
        return format_html('<a class="text-link" href="{}">{}</a>', address, str(obj.session_id)[:8])

    @admin.display(description=_("codes"))
    def codes_file(self, obj: Turn) -> SafeString:
        return codes_picture(obj)

    @admin.display(description=_("models"))
    def models_pretty(self, obj: Turn) -> SafeString:
        return pretty_json(obj.model_versions)

    @admin.display(description=_("figures"))
    def stats_pretty(self, obj: Turn) -> SafeString:
        return pretty_json(obj.stats)

    # -- what operators do ---------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Turn, form: forms.ModelForm, change: bool) -> None:
        services.turn_mark(turn_id=obj.pk, mark=obj.mark, note=obj.mark_note, user=request.user)  # type: ignore[arg-type]

    @admin.action(description=_("Mark as good"), permissions=["change"])
    def mark_good(self, request: HttpRequest, queryset: QuerySet[Turn]) -> None:
        self._mark(request, queryset, Turn.Mark.GOOD)

    @admin.action(description=_("Mark as bad"), permissions=["change"])
    def mark_bad(self, request: HttpRequest, queryset: QuerySet[Turn]) -> None:
        self._mark(request, queryset, Turn.Mark.BAD)

    @admin.action(description=_("Take the mark back"), permissions=["change"])
    def unmark(self, request: HttpRequest, queryset: QuerySet[Turn]) -> None:
        self._mark(request, queryset, "")

    def _mark(self, request: HttpRequest, queryset: QuerySet[Turn], mark: str) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        count = services.turns_mark(turn_ids=ids, mark=mark, user=request.user)  # type: ignore[arg-type]
        words = ngettext("%(n)d turn marked.", "%(n)d turns marked.", count) % {"n": count}
        self.message_user(request, words, messages.SUCCESS)

    # Adding to a dataset is that dataset's change, not the turn's.
    def has_teach_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training.change_dataset")

    @admin.action(description=_("Add good ones to a training dataset"), permissions=["teach"])
    def add_to_dataset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> HttpResponse | None:
        good = list(queryset.filter(mark=Turn.Mark.GOOD).values_list("pk", flat=True))
        datasets = datasets_open_for_turns()
        if not good:
            self.message_user(
                request, gettext("None of them is marked good: mark those to learn from first."), messages.ERROR
            )
            return None
        if "dataset" in request.POST:
            self._teach(request, next((one for one in datasets if str(one.pk) == request.POST["dataset"]), None), good)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Add to a training dataset"),
            "datasets": datasets,
            "turn_ids": list(queryset.values_list("pk", flat=True)),
            "count": len(good),
        }
        return render(request, "admin/voice/add_to_dataset.html", context)

    def _teach(self, request: HttpRequest, dataset: Dataset | None, good: list[UUID]) -> None:
        try:
            if dataset is None:
                raise services.ServiceError(
                    "unknown_dataset", gettext("there is no such dataset"), gettext("choose one")
                )
            added = dataset_add_turns(dataset=dataset, turn_ids=good, user=request.user)
        except services.ServiceError as error:
            self.message_user(request, f"{error.message}; {error.hint}", messages.ERROR)
            return
        words = ngettext("%(n)d turn added to %(name)s.", "%(n)d turns added to %(name)s.", added)
        self.message_user(request, words % {"n": added, "name": dataset}, messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: Turn) -> None:
        services.turns_delete(turn_ids=[obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> None:
        services.turns_delete(turn_ids=list(queryset.values_list("pk", flat=True)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return few(self, objs, request)
