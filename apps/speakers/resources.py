"""Configuration as CSV or JSON, out and in. What comes in goes through the services, as every other change."""

from __future__ import annotations

from typing import Any

from django.utils.encoding import force_str
from django.utils.html import format_html
from django.utils.safestring import SafeString
from import_export import resources

from apps.speakers import services
from apps.speakers.models import Emotion, Speaker, VoiceBlend

_NAMES = ("slug", "name_te", "name_en")
_PROSODY = ("pitch_semitones", "energy_db", "rate")


class PlainDiff(resources.Diff):
    """What would change, without the inline styles that the Content-Security-Policy refuses."""

    def as_html(self) -> list[SafeString]:
        return [_difference("" if self.new else old, new) for old, new in zip(self.left, self.right, strict=False)]


def _difference(old: Any, new: Any) -> SafeString:
    if force_str(old) == force_str(new):
        return format_html("<span>{}</span>", new)
    before = format_html("<del>{}</del> ", old) if old != "" else ""
    return format_html("{}<ins>{}</ins>", before, new)


class _ConfigurationResource(resources.ModelResource):
    """Rows are known by their slug: the same file brought in twice changes nothing the second time."""

    class Meta:
        import_id_fields = ("slug",)
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True

    def get_diff_class(self) -> type[PlainDiff]:
        return PlainDiff


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
