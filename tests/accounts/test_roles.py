"""The four roles: what they hold, how new permissions reach them, and what they may not do to superusers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse

from apps.accounts.models import ApiToken
from apps.accounts.roles import ROLES, sync_roles
from apps.speakers.models import Speaker
from tests.support.factories import make_role, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("permission", "holders"),
    [
        ("voice.view_turn", {"Viewer", "Operator", "Trainer", "Admin"}),
        ("speakers.change_speaker", {"Operator", "Admin"}),
        ("speakers.delete_speaker", {"Admin"}),
        ("voice.change_voicesession", {"Operator", "Admin"}),
        ("voice.change_turn", {"Operator", "Trainer", "Admin"}),
        ("voice.delete_turn", {"Operator", "Admin"}),
        ("training.add_job", {"Trainer", "Admin"}),
        ("training.promote_modelversion", {"Admin"}),
        ("auth.change_user", {"Admin"}),
        ("accounts.view_apitoken", {"Admin"}),
    ],
)
def test_who_holds_what(permission: str, holders: set[str]) -> None:
    app, codename = permission.split(".")
    groups = Group.objects.filter(permissions__codename=codename, permissions__content_type__app_label=app)
    assert set(groups.values_list("name", flat=True)) == holders


def test_a_new_permission_finds_its_roles_and_changes_by_hand_stay() -> None:
    viewer = Group.objects.get(name="Viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_turn"))
    content_type = ContentType.objects.get_for_model(Speaker)
    Permission.objects.create(content_type=content_type, codename="view_new", name="new")
    for label in ("speakers", "voice"):
        sync_roles(apps.get_app_config(label))
    held = {name: set(Group.objects.get(name=name).permissions.values_list("codename", flat=True)) for name in ROLES}
    assert all("view_new" in codenames for codenames in held.values())
    assert "view_turn" not in held["Viewer"]


def test_a_role_opens_the_admin_and_its_loss_closes_it() -> None:
    user = make_user("sita")
    role = Group.objects.get(name="Viewer")
    for change, staff in ((user.groups.add, True), (user.groups.remove, False)):
        change(role)
        user.refresh_from_db()
        assert user.is_staff is staff
    role.user_set.add(user)
    user.refresh_from_db()
    assert user.is_staff
    user.groups.clear()
    user.refresh_from_db()
    assert not user.is_staff
    boss = make_user("boss", is_staff=True, is_superuser=True)
    boss.groups.set([role])
    boss.groups.clear()
    boss.refresh_from_db()
    assert boss.is_staff


def change_form(user: User, **changes: Any) -> dict[str, Any]:
    return {"username": user.username, "email": "", "first_name": "", "last_name": "", "is_active": "on", **changes}


def test_an_admin_gives_roles_but_makes_no_superuser_and_touches_none(client: Client) -> None:
    client.force_login(make_role("Admin"))
    sita, boss = make_user("sita"), make_user("boss", is_staff=True, is_superuser=True)
    address = reverse("admin:auth_user_change", args=[sita.pk])
    role = Group.objects.get(name="Operator")
    assert client.post(address, change_form(sita, groups=[role.pk], is_superuser="on")).status_code == 302
    sita.refresh_from_db()
    assert (sita.is_staff, sita.is_superuser) == (True, False)
    address = reverse("admin:auth_user_change", args=[boss.pk])
    assert client.post(address, change_form(boss, is_active="")).status_code == 403
    assert client.post(reverse("admin:auth_user_delete", args=[boss.pk]), {"post": "yes"}).status_code == 403
    assert (
        client.post(reverse("admin:auth_user_password_change", args=[boss.pk]), {"password1": "x"}).status_code == 403
    )
    users = reverse("admin:auth_user_changelist")
    client.post(users, {"action": "delete_selected", "_selected_action": [boss.pk, sita.pk], "post": "yes"})
    assert User.objects.filter(username__in=["boss", "sita"]).count() == 2


def test_a_token_is_shown_once_and_revoked_not_deleted(client: Client) -> None:
    admin = make_role("Admin")
    client.force_login(admin)
    boss = make_user("boss", is_superuser=True)
    add = reverse("admin:accounts_apitoken_add")
    form = {"user": admin.pk, "name": "laptop", "scopes": ["read", "chat"], "days": 30}
    assert client.post(add, form | {"user": boss.pk}).status_code == 200  # would act as a superuser
    assert not ApiToken.objects.exists()
    page = client.post(add, form, follow=True)
    secret = re.search(r"tvp_[\w-]+", str(next(iter(page.context["messages"]))))
    assert secret
    token = ApiToken.objects.get()
    assert (token.user, token.scopes) == (admin, ["read", "chat"])
    tokens = reverse("admin:accounts_apitoken_changelist")
    assert secret[0] not in client.get(tokens).text
    assert client.post(reverse("admin:accounts_apitoken_delete", args=[token.pk]), {"post": "yes"}).status_code == 403
    client.post(tokens, {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at
