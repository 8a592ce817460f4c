from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    """What operators see across apps: the home page and their saved filters."""

    name = "apps.console"
    label = "console"
    verbose_name = _("Operations")
