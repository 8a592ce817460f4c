from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """What belongs to a person: API tokens, answers kept for retries; and the roles."""

    name = "apps.accounts"
    label = "accounts"
    verbose_name = _("Accounts")
