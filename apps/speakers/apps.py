from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SpeakersConfig(AppConfig):
    """Voices and emotions that people choose from."""

    name = "apps.speakers"
    label = "speakers"
    verbose_name = _("Speakers")
