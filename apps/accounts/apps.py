from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_migrate
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """What belongs to a person: API tokens, answers kept for retries; and the roles."""

    name = "apps.accounts"
    label = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from django.contrib.auth.models import User

        from apps.accounts import roles

        post_migrate.connect(roles.sync_roles, dispatch_uid="accounts_roles")
        m2m_changed.connect(roles.staff_follows_roles, sender=User.groups.through, dispatch_uid="accounts_staff")
