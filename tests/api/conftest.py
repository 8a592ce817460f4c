"""People in their roles, and clients that speak for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.services import token_create
from tests.support.factories import make_user

ALL_SCOPES = ["read", "config:write", "train", "chat"]


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture
def api() -> APIClient:
    """A client of nobody."""
    return APIClient()


@pytest.fixture
def client_of() -> Callable[[User], APIClient]:
    """A client logged in on the site, whose CSRF token is checked as a browser's would be."""

    def make(user: User) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def program_of() -> Callable[..., APIClient]:
    """A client with a token of that user."""

    def make(user: User, *scopes: str) -> APIClient:
        _, secret = token_create(
            user=user,
            name="tests",
            scopes=list(scopes or ALL_SCOPES),
            expires_at=timezone.now() + timedelta(days=1),
        )
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return client

    return make


@pytest.fixture
def person(db: Any) -> Callable[..., User]:
    """A user with these permissions (``app.codename``)."""

    def make(username: str = "sita", *permissions: str) -> User:
        user = make_user(username)
        for name in permissions:
            app, codename = name.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return user

    return make
