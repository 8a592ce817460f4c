"""Voices, emotions and blends by REST: everyone sees what is published, operators see and change everything.

The module to copy from: filters, serializers, viewsets with their access tables, ``register``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.routers import BaseRouter

from apps.speakers import services
from apps.speakers.models import Emotion, Speaker, VoiceBlend
from voiceplatform.api.access import Access
from voiceplatform.api.views import ConfigurationViewSet

_TIMES = ["created_at", "updated_at"]


class _ChoiceSerializer(serializers.ModelSerializer[Any]):
    """What is written once (``slug``) and what may change."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        if isinstance(self.instance, Model):
            # The name on the wire: clients know it, and sessions refer to it.
            fields["slug"].read_only = True
        return fields


class SpeakerSerializer(_ChoiceSerializer):
    class Meta:
        model = Speaker
        fields = [
            "slug",
            "name_te",
            "name_en",
            "description",
            "gender",
            "accent",
            "pitch_semitones",
            "energy_db",
            "rate",
            "accent_strength",
            "order",
            "is_published",
            *_TIMES,
        ]
        read_only_fields = _TIMES


class EmotionSerializer(_ChoiceSerializer):
    class Meta:
        model = Emotion
        fields = [
            "slug",
            "name_te",
            "name_en",
            "emoji",
            "default_intensity",
            "pitch_semitones",
            "energy_db",
            "rate",
            "accent",
            "order",
            "is_published",
            *_TIMES,
        ]
        read_only_fields = _TIMES


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
        "minProperties": 2,
        "example": {"arjun": 0.4, "priya": 0.6},
    }
)
class WeightsField(serializers.JSONField):
    """Shares by slug; the model checks them."""


class VoiceBlendSerializer(_ChoiceSerializer):
    weights = WeightsField()

    class Meta:
        model = VoiceBlend
        fields = ["slug", "name_te", "name_en", "description", "weights", "order", "is_published", *_TIMES]
        read_only_fields = _TIMES


class SpeakerFilter(filters.FilterSet):
    class Meta:
        model = Speaker
        fields = ["gender", "accent", "is_published"]


class EmotionFilter(filters.FilterSet):
    class Meta:
        model = Emotion
        fields = ["is_published"]


class VoiceBlendFilter(filters.FilterSet):
    class Meta:
        model = VoiceBlend
        fields = ["is_published"]


class _ChoiceViewSet(ConfigurationViewSet):
    model: ClassVar[type[Speaker | Emotion | VoiceBlend]]
    search_fields = ["slug", "name_te", "name_en"]
    ordering_fields = ["order", "slug", "name_en", "updated_at"]
    ordering = ["order", "slug"]

    def get_queryset(self) -> QuerySet[Any]:
        rows = self.model._default_manager.all()
        sees_all = self.request.user.has_perm(f"speakers.view_{self.model._meta.model_name}")
        return rows if sees_all else rows.filter(is_published=True)

    def changed(self, serializer: Any) -> Any:
        """The row as the request wishes it, not stored yet."""
        row = serializer.instance or self.model()
        for name, value in serializer.validated_data.items():
            setattr(row, name, value)
        return row


def _access(model: str) -> dict[str, Access]:
    return {
        "list": Access("read", public=True),
        "retrieve": Access("read", public=True),
        "create": Access("config:write", f"speakers.add_{model}"),
        "partial_update": Access("config:write", f"speakers.change_{model}"),
    }


class SpeakerViewSet(_ChoiceViewSet):
    """Voices. A change reaches running conversations with their next answer."""

    model = Speaker
    queryset = Speaker.objects.all()
    serializer_class = SpeakerSerializer
    filterset_class = SpeakerFilter
    access = _access("speaker")
    tag = "speakers"

    def store(self, serializer: Any) -> Speaker:
        return services.speaker_save(speaker=self.changed(serializer))


class EmotionViewSet(_ChoiceViewSet):
    """Moods and registers. A change reaches running conversations with their next answer."""

    model = Emotion
    queryset = Emotion.objects.all()
    serializer_class = EmotionSerializer
    filterset_class = EmotionFilter
    access = _access("emotion")
    tag = "emotions"

    def store(self, serializer: Any) -> Emotion:
        return services.emotion_save(emotion=self.changed(serializer))


class VoiceBlendViewSet(_ChoiceViewSet):
    """Voices between voices."""

    model = VoiceBlend
    queryset = VoiceBlend.objects.all()
    serializer_class = VoiceBlendSerializer
    filterset_class = VoiceBlendFilter
    access = _access("voiceblend")
    tag = "blends"

    def store(self, serializer: Any) -> VoiceBlend:
        return services.blend_save(blend=self.changed(serializer))


def register(router: BaseRouter) -> None:
    """Add this app's resources."""
    router.register("speakers", SpeakerViewSet, basename="speaker")
    router.register("emotions", EmotionViewSet, basename="emotion")
    router.register("blends", VoiceBlendViewSet, basename="blend")
