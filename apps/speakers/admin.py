"""Voices, blends and emotions for operators. They are withdrawn, never deleted: sessions and turns refer to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV, JSON
from simple_history.admin import SimpleHistoryAdmin
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.decorators import display

from apps.speakers import selectors, services
from apps.speakers.admin_forms import SHARE, EmotionForm, SpeakerForm, blend_form
from apps.speakers.audition_admin import AuditionMixin, blend_audition, emotion_audition, speaker_audition
from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.speakers.resources import BlendResource, EmotionResource, SpeakerResource
from voiceplatform.admin_tools import HouseAdmin

TIMES = (_("Times"), {"fields": ["created_at", "updated_at"], "classes": ["collapse"]})


class ChoiceAdmin(AuditionMixin, SimpleHistoryAdmin, ImportExportModelAdmin, HouseAdmin):
    """What the three lists share. Order by dragging; changes through services; history with a way back."""

    ordering_field = "order"
    hide_ordering_field = True
    list_display_links = ["name"]
    search_fields = ["slug", "name_te", "name_en"]
    list_filter = ["is_published"]
    readonly_fields = ["created_at", "updated_at"]
    actions = ["publish", "withdraw"]
    formats = [CSV, JSON]
    import_form_class = ImportForm
    export_form_class = ExportForm
    save_row: ClassVar[Callable[..., Any]]
    publish_rows: ClassVar[Callable[..., int]]
    row_name: ClassVar[str]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The slug is the name on the wire: clients and seeds know it.
        return [*self.readonly_fields, "slug"] if obj is not None else list(self.readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        type(self).save_row(**{self.row_name: obj})

    @display(header=True, description=_("name"), ordering="name_te")
    def name(self, obj: Any) -> list[str]:
        return [obj.name_te, f"{obj.name_en} · {obj.slug}"]

    @display(
        description=_("offered"), ordering="is_published", label={_("offered"): "success", _("withdrawn"): "warning"}
    )
    def offered(self, obj: Any) -> Any:
        return _("offered") if obj.is_published else _("withdrawn")

    @admin.action(description=_("Publish"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._publish(request, queryset, True)

    @admin.action(description=_("Withdraw"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._publish(request, queryset, False)

    def _by_ear(self, obj: Any, rows: list[Any], others: QuerySet[Any]) -> SafeString:
        """Recordings to click on, and what the form says as the model speaks it."""
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_audition")
        context = {"rows": rows, "object": obj.pk or "", "others": others, "address": address}
        return render_to_string("console/preview.html", context)

    def _publish(self, request: HttpRequest, queryset: QuerySet[Any], published: bool) -> None:
        changed = type(self).publish_rows(**{f"{self.row_name}s": queryset, "published": published})
        words = ngettext("%(n)d entry changed.", "%(n)d entries changed.", changed) % {"n": changed}
        self.message_user(request, words, messages.SUCCESS)


def _prosody(obj: Speaker | Emotion) -> str:
    """What differs from rest, in short."""
    parts = [
        f"{obj.pitch_semitones:+g} st" if obj.pitch_semitones else "",
        f"{obj.energy_db:+g} dB" if obj.energy_db else "",
        f"×{obj.rate:g}" if obj.rate != 1 else "",
    ]
    return "  ".join(part for part in parts if part) or "–"


@admin.register(Speaker)
class SpeakerAdmin(ChoiceAdmin):
    form = SpeakerForm
    resource_classes = [SpeakerResource]
    list_display = ["name", "gender", "accent", "dials", "offered"]
    list_filter = ["is_published", "gender", "accent"]
    readonly_fields = ["preview", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": [("slug", "is_published"), ("name_te", "name_en"), "description", ("gender", "accent")]}),
        (_("By ear"), {"fields": ["preview"]}),
        (
            _("Dials"),
            {
                "fields": [("pitch_semitones", "energy_db"), ("rate", "accent_strength")],
                "description": _(
                    "A live conversation hears a change with its next answer. Double click: back to rest."
                ),
            },
        ),
        TIMES,
    ]
    save_row = services.speaker_save
    publish_rows = services.speakers_publish
    row_name = "speaker"

    @admin.display(description=_("dials"))
    def dials(self, obj: Speaker) -> str:
        return _prosody(obj)

    @admin.display(description=_("this voice in every emotion"))
    def preview(self, obj: Speaker) -> SafeString:
        rows = selectors.speaker_samples(speaker=obj) if obj.pk else []
        return self._by_ear(obj, rows, Emotion.objects.all())

    def audition_of(self, data: Mapping[str, str]) -> dict[str, Any]:
        return speaker_audition(data)


@admin.register(Emotion)
class EmotionAdmin(ChoiceAdmin):
    form = EmotionForm
    resource_classes = [EmotionResource]
    list_display = ["name", "sign", "default_intensity", "dials", "offered"]
    readonly_fields = ["preview", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": [("slug", "is_published"), ("name_te", "name_en"), ("emoji", "default_intensity")]}),
        (_("By ear"), {"fields": ["preview"]}),
        (
            _("Prosody"),
            {
                "fields": [("pitch_semitones", "energy_db"), ("rate", "accent")],
                "description": _(
                    "Added to the speaker's own, in proportion to the intensity. Double click: back to rest."
                ),
            },
        ),
        TIMES,
    ]
    save_row = services.emotion_save
    publish_rows = services.emotions_publish
    row_name = "emotion"

    @admin.display(description=_("emoji"))
    def sign(self, obj: Emotion) -> SafeString:
        return format_html('<span class="emoji">{}</span>', obj.emoji)

    @admin.display(description=_("dials"))
    def dials(self, obj: Emotion) -> str:
        return _prosody(obj)

    @admin.display(description=_("this emotion in every voice"))
    def preview(self, obj: Emotion) -> SafeString:
        rows = selectors.emotion_samples(emotion=obj) if obj.pk else []
        return self._by_ear(obj, rows, Speaker.objects.all())

    def audition_of(self, data: Mapping[str, str]) -> dict[str, Any]:
        return emotion_audition(data)


@admin.register(VoiceBlend)
class VoiceBlendAdmin(ChoiceAdmin):
    resource_classes = [BlendResource]
    list_display = ["name", "shares", "offered"]
    readonly_fields = ["preview", "created_at", "updated_at"]
    save_row = services.blend_save
    publish_rows = services.blends_publish
    row_name = "blend"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, form=blend_form(selectors.speaker_names()), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shares = [SHARE + slug for slug in selectors.speaker_names()]
        pairs = [tuple(shares[at : at + 2]) for at in range(0, len(shares), 2)]
        return [
            (None, {"fields": [("slug", "is_published"), ("name_te", "name_en"), "description"]}),
            (
                _("Shares"),
                {"fields": pairs, "description": _("In proportion to each other: they need not add up to 100.")},
            ),
            (_("By ear"), {"fields": ["preview"]}),
            TIMES,
        ]

    @admin.display(description=_("this blend in any emotion"))
    def preview(self, obj: VoiceBlend) -> SafeString:
        return self._by_ear(obj, [], Emotion.objects.all())

    def audition_of(self, data: Mapping[str, str]) -> dict[str, Any]:
        return blend_audition(data)

    @admin.display(description=_("shares"))
    def shares(self, obj: VoiceBlend) -> str:
        return " + ".join(f"{slug} {weight:.0%}" for slug, weight in obj.weights.items())
