from django.apps import AppConfig


class VoiceplatformConfig(AppConfig):
    """The project as an app: management commands and system checks."""

    name = "voiceplatform"

    def ready(self) -> None:
        from voiceplatform import checks  # noqa: F401  (registers them)
