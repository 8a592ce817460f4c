"""Sessions for operators: to look at, listen to, take over, end and delete; all through services."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from apps.voice import selectors, services
from apps.voice.admin.filters import FaultFilter, SessionLatencyFilter, UserFilter
from apps.voice.admin.forms import SessionForm
from apps.voice.admin.search import session_condition
from apps.voice.admin.shared import few, moment, voice_of
from apps.voice.models import VoiceSession
from voiceplatform.admin_tools import HouseAdmin, MomentsFilter

Status = VoiceSession.Status


@admin.register(VoiceSession)
class VoiceSessionAdmin(HouseAdmin):
    form = SessionForm
    list_display = ["who", "status_label", "voice", "mode", "turn_count", "slowest", "began", "trouble"]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        UserFilter,
        ("speaker", RelatedDropdownFilter),
        ("emotion", RelatedDropdownFilter),
        ("mode", ChoicesDropdownFilter),
        SessionLatencyFilter,
        FaultFilter,
        ("created_at", MomentsFilter),
    ]
    search_fields = ["pk"]
    search_help_text = _("user, session id, client or error")
    # Live ones first, then suspended ones, then by when they ended; an index has this very order.
    ordering = [F("ended_at").desc(nulls_first=True), "status", "-created_at"]
    list_display_links = ["who"]
    actions = ["end"]
    actions_detail = ["timeline"]
    actions_submit_line = ["end_now"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoiceSession]:
        return selectors.sessions_for_list()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (queryset.filter(session_condition(term)) if term else queryset), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        running = obj is not None and obj.status != Status.ENDED and self.has_change_permission(request, obj)
        return [
            (None, {"fields": [("person", "status"), ("began", "ended"), ("seen", "client"), ("length", "trouble")]}),
            (
                _("Configuration"),
                {
                    "fields": [
                        ("speaker", "emotion"),
                        ("mode", "turn_taking"),
                        ("pitch_semitones", "energy_db"),
                        ("rate", "accent"),
                        ("intensity", "quantizers"),
                        ("keep_audio", "now") if running else "keep_audio",
                    ],
                    "description": _("On top of the voice's own. Saved changes reach the live conversation.")
                    if running
                    else "",
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = ["person", "status", "began", "ended", "seen", "client", "length", "trouble"]
        ended = obj is None or obj.status == Status.ENDED
        return [*fixed, *SessionForm.CONFIGURED] if ended else fixed

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        request.is_ended = found is not None and found.status == Status.ENDED  # type: ignore[attr-defined]
        return found

    # -- columns -------------------------------------------------------------------------------------------

    @display(description=_("who"), header=True)
    def who(self, obj: VoiceSession) -> list[str]:
        name = obj.owner.get_username() if obj.owner else gettext("guest")
        return [name, str(obj.pk)[:8]]

    @display(
        description=_("state"),
        ordering="status",
        label={Status.LIVE: "success", Status.SUSPENDED: "warning", Status.ENDED: "default"},
    )
    def status_label(self, obj: VoiceSession) -> tuple[str, str]:
        return obj.status, obj.get_status_display()

    @admin.display(description=_("voice"))
    def voice(self, obj: VoiceSession) -> SafeString:
        return voice_of(obj)

    @admin.display(description=_("turns"))
    def turn_count(self, obj: Any) -> SafeString:
        address = reverse("admin:voice_turn_changelist")
        return format_html('<a href="{}?q={}">{}</a>', address, obj.pk, obj.turn_total)

    @admin.display(description=_("slowest answer"))
    def slowest(self, obj: Any) -> str:
        return f"{obj.slowest_ms} ms" if obj.slowest_ms is not None else "–"

    @admin.display(description=_("began"), ordering="created_at")
    def began(self, obj: VoiceSession) -> str:
        return moment(obj.created_at)

    @admin.display(description=_("ended"))
    def ended(self, obj: VoiceSession) -> str:
        return moment(obj.ended_at) if obj.ended_at else "–"

    @admin.display(description=_("last seen"))
    def seen(self, obj: VoiceSession) -> str:
        return moment(obj.last_seen)

    @admin.display(description=_("who"))
    def person(self, obj: VoiceSession) -> str:
        return f"{obj.owner.get_username() if obj.owner else gettext('guest')} · {obj.pk}"

    @admin.display(description=_("turns"))
    def length(self, obj: Any) -> SafeString:
        return self.turn_count(obj)

    @admin.display(description=_("error or end"))
    def trouble(self, obj: VoiceSession) -> SafeString:
        if obj.last_fault:
            return format_html('<span class="fault">{}</span> {}', obj.last_fault, obj.end_reason)
        return format_html("{}", obj.end_reason or "–")

    # -- what operators do ---------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: VoiceSession, form: forms.ModelForm, change: bool) -> None:
        assert isinstance(form, SessionForm)
        try:
            wishes = form.wishes()
            if wishes:
                services.session_configure(session_id=obj.pk, now=form.cleaned_data.get("now", False), **wishes)
        except services.ServiceError as error:  # it ended meanwhile, or a voice was withdrawn
            self.message_user(request, f"{error.message}; {error.hint}", messages.ERROR)
            return
        # unfold would run this button after saving the row itself, which is not ours to do.
        if f"{self.opts.app_label}_{self.opts.model_name}_end_now" in request.POST:
            self.end_now(request, obj)

    # Ending is no change of a field, so that it asks for the model's change permission itself.
    def has_end_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("voice.change_voicesession") and not getattr(request, "is_ended", False)

    @admin.action(description=_("End selected sessions"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> None:
        running = list(queryset.exclude(status=Status.ENDED).values_list("pk", flat=True))
        for pk in running:
            services.session_end(session_id=pk, reason="operator")
        words = ngettext("%(n)d session ended.", "%(n)d sessions ended.", len(running)) % {"n": len(running)}
        self.message_user(request, words, messages.SUCCESS)

    @action(description=_("Save and end the session"), permissions=["end"])
    def end_now(self, request: HttpRequest, obj: VoiceSession) -> None:
        services.session_end(session_id=obj.pk, reason="operator")
        self.message_user(request, gettext("The session has ended."), messages.SUCCESS)

    def has_timeline_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("voice.view_turn")

    @action(description=_("Listen to both sides"), url_path="timeline", icon="graphic_eq", permissions=["timeline"])
    def timeline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        session = self.get_object(request, object_id)
        if session is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": session,
            "title": gettext("Both sides of the conversation"),
            "stretches": selectors.session_timeline(session_id=session.pk),
        }
        return render(request, "admin/voice/timeline.html", context)

    def delete_model(self, request: HttpRequest, obj: VoiceSession) -> None:
        services.sessions_delete(session_ids=[obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> None:
        services.sessions_delete(session_ids=list(queryset.values_list("pk", flat=True)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return few(self, objs, request)
