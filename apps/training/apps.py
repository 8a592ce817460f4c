from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrainingConfig(AppConfig):
    """Model versions, and the health of the workers."""

    name = "apps.training"
    label = "training"
    verbose_name = _("Training")
