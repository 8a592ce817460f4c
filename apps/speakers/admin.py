"""Voices and emotions for operators. They are withdrawn rather than deleted: sessions and turns refer to them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from apps.speakers import services
from apps.speakers.models import Emotion, Speaker


class _ChoiceAdmin(admin.ModelAdmin):
    """What both lists share."""

    list_editable = ["order"]
    search_fields = ["slug", "name_te", "name_en"]
    readonly_fields = ["created_at", "updated_at"]
    actions = ["publish", "withdraw"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The slug is the name on the wire: clients and seeds know it.
        return [*self.readonly_fields, "slug"] if obj is not None else list(self.readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _tell(self, request: HttpRequest, changed: int) -> None:
        words = ngettext("%(n)d entry changed.", "%(n)d entries changed.", changed) % {"n": changed}
        self.message_user(request, words, messages.SUCCESS)


@admin.register(Speaker)
class SpeakerAdmin(_ChoiceAdmin):
    list_display = ["name_te", "name_en", "slug", "gender", "accent", "is_published", "order"]
    list_filter = ["is_published", "gender", "accent"]
    fieldsets = [
        (None, {"fields": ["slug", "name_te", "name_en", "description", "gender", "accent", "order", "is_published"]}),
        (gettext_lazy("Voice controls"), {"fields": ["pitch_semitones", "energy_db", "rate"]}),
        (gettext_lazy("Times"), {"fields": ["created_at", "updated_at"]}),
    ]

    def save_model(self, request: HttpRequest, obj: Speaker, form: forms.ModelForm, change: bool) -> None:
        services.speaker_save(speaker=obj)

    @admin.action(description=gettext_lazy("Publish"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> None:
        self._tell(request, services.speakers_publish(speakers=queryset, published=True))

    @admin.action(description=gettext_lazy("Withdraw"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Speaker]) -> None:
        self._tell(request, services.speakers_publish(speakers=queryset, published=False))


@admin.register(Emotion)
class EmotionAdmin(_ChoiceAdmin):
    list_display = ["name_te", "name_en", "emoji", "slug", "default_intensity", "is_published", "order"]
    list_filter = ["is_published"]
    fields = [
        "slug",
        "name_te",
        "name_en",
        "emoji",
        "default_intensity",
        "order",
        "is_published",
        "created_at",
        "updated_at",
    ]

    def save_model(self, request: HttpRequest, obj: Emotion, form: forms.ModelForm, change: bool) -> None:
        services.emotion_save(emotion=obj)

    @admin.action(description=gettext_lazy("Publish"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Emotion]) -> None:
        self._tell(request, services.emotions_publish(emotions=queryset, published=True))

    @admin.action(description=gettext_lazy("Withdraw"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Emotion]) -> None:
        self._tell(request, services.emotions_publish(emotions=queryset, published=False))
