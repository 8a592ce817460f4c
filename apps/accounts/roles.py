"""Four roles, as Django groups. Code asks for permissions, never for a role's name.

=========  ========================================================================================================
Viewer     sees everything of voices, conversations and training (and so may listen to every turn)
Operator   and edits voices, configures and ends sessions, marks and deletes turns
Trainer    what a Viewer may, and marks turns, prepares datasets and runs training jobs
Admin      everything, with users, roles, tokens, promotion and deletion
=========  ========================================================================================================

:func:`sync_roles` runs after every migration: a permission that no role holds is new and goes to the roles of the
table. What administrators changed about the others stays.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User

VIEWER, OPERATOR, TRAINER, ADMIN = "Viewer", "Operator", "Trainer", "Admin"
ROLES = (VIEWER, OPERATOR, TRAINER, ADMIN)

_SEEN_BY_ALL = ("speakers", "voice", "training")
ADMINISTERED = (*_SEEN_BY_ALL, "accounts", "auth", "axes")
_GRANTED = {
    OPERATOR: {
        *(f"speakers.{verb}_{name}" for verb in ("add", "change") for name in ("speaker", "emotion", "voiceblend")),
        "voice.change_voicesession",
        "voice.change_turn",
        "voice.delete_turn",
    },
    TRAINER: {
        *(f"training.{verb}_{name}" for verb in ("add", "change") for name in ("dataset", "job")),
        "voice.change_turn",
    },
}


def roles_of(permission: str) -> frozenset[str]:
    """The roles that a new permission ("app.codename") goes to."""
    app, _, codename = permission.partition(".")
    if app not in ADMINISTERED:
        return frozenset()
    found = {role for role, granted in _GRANTED.items() if permission in granted}
    if app in _SEEN_BY_ALL and codename.startswith("view_"):
        found |= {VIEWER, OPERATOR, TRAINER}
    return frozenset({ADMIN, *found})


def sync_roles(app_config: AppConfig, using: str = "default", **_: Any) -> None:
    """Make the roles and give them what is new in one app. Receiver of ``post_migrate``."""
    if app_config.label not in ADMINISTERED:
        return
    create_permissions(app_config, verbosity=0, using=using)
    groups = {name: Group.objects.using(using).get_or_create(name=name)[0] for name in ROLES}
    new = (
        Permission.objects.using(using)
        .filter(content_type__app_label=app_config.label)
        .exclude(group__name__in=ROLES)
        .select_related("content_type")
    )
    granted: dict[str, list[Permission]] = {name: [] for name in ROLES}
    for permission in new:
        for name in roles_of(f"{permission.content_type.app_label}.{permission.codename}"):
            granted[name].append(permission)
    for name, permissions in granted.items():
        groups[name].permissions.add(*permissions)


def staff_follows_roles(instance: User | Group, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    """Who gets a role may enter the admin; who lost the last one may not. Receiver of ``m2m_changed``."""
    if action not in {"post_add", "post_remove", "post_clear"}:
        return
    if reverse:  # group.user_set.add(user)
        users = list(User.objects.filter(pk__in=pk_set or ()))
    else:
        users = [instance] if isinstance(instance, User) else []
    for user in users:
        staff = user.is_superuser or user.groups.filter(name__in=ROLES).exists()
        if user.is_staff != staff:
            user.is_staff = staff
            user.save(update_fields=["is_staff"])
