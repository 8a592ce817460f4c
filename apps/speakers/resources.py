"""Configuration as CSV or JSON, out and in. What comes in goes through the services, as every other change."""

from __future__ import annotations

from typing import Any

from import_export import resources

from apps.speakers import services
from apps.speakers.models import Emotion, Speaker, VoiceBlend

_NAMES = ("slug", "name_te", "name_en")
_PROSODY = ("pitch_semitones", "energy_db", "rate")


class _ConfigurationResource(resources.ModelResource):
    """Rows are known by their slug: the same file brought in twice changes nothing the second time."""

    class Meta:
        import_id_fields = ("slug",)
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True


class SpeakerResource(_ConfigurationResource):
    class Meta(_ConfigurationResource.Meta):
        model = Speaker
        fields = (*_NAMES, "description", "gender", "accent", *_PROSODY, "accent_strength", "order", "is_published")

    def do_instance_save(self, instance: Speaker, is_create: bool) -> None:
        services.speaker_save(speaker=instance)


class EmotionResource(_ConfigurationResource):
    class Meta(_ConfigurationResource.Meta):
        model = Emotion
        fields = (*_NAMES, "emoji", "default_intensity", *_PROSODY, "accent", "order", "is_published")

    def do_instance_save(self, instance: Emotion, is_create: bool) -> None:
        services.emotion_save(emotion=instance)


class BlendResource(_ConfigurationResource):
    class Meta(_ConfigurationResource.Meta):
        model = VoiceBlend
        fields = (*_NAMES, "description", "weights", "order", "is_published")

    def do_instance_save(self, instance: Any, is_create: bool) -> None:
        services.blend_save(blend=instance)
