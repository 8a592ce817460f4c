from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VoiceConfig(AppConfig):
    """Live conversation: sessions and turns."""

    name = "apps.voice"
    label = "voice"
    verbose_name = _("Voice")

    def ready(self) -> None:
        from apps.voice import signals  # noqa: F401  (deleted turns take their files with them)
