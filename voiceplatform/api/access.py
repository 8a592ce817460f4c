"""Who may do what: each view says it per action, in one table that tests and the schema read.

Two things must hold: the token has the scope (a log-in on the site has all), and the person has the permission (roles
are groups of Django permissions). What belongs to the person needs no permission: the view's queryset holds theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.models import ApiToken

ScopeName = Literal["read", "config:write", "train", "chat"]


@dataclass(frozen=True, slots=True)
class Access:
    """What an action asks for: a scope of tokens (or ``also``), a Django permission (None: any person), or nothing
    (``public``)."""

    scope: ScopeName
    permission: str | None = None
    also: ScopeName | None = None
    public: bool = False

    @property
    def scopes(self) -> list[str]:
        """Any of these will do."""
        return [self.scope] if self.also is None else [self.scope, self.also]


AccessTable = Mapping[str, Access]


def access_of(view: Any, method: str | None = None) -> Access | None:
    """The row for the view's action (of a viewset) or method (of a plain view); None: it has no such method."""
    table: AccessTable = view.access
    action = getattr(view, "action", None)
    key = (method or view.request.method).lower() if action is None else action
    return table.get("get" if key == "head" else key)


class AccessPermission(BasePermission):
    """Refuses what the view's table does not allow; says which scope or permission is missing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        access = access_of(view)
        if access is None:
            # Only a method that no handler exists for may lack a row; DRF answers it with 405 after this.
            action = getattr(view, "action", None)
            if action == "metadata" or (action is None and not hasattr(view, (request.method or "").lower())):
                return True
            raise PermissionDenied("This action is not open to anyone.")
        if access.public and not isinstance(request.auth, ApiToken):
            return True
        if not request.user.is_authenticated:
            raise NotAuthenticated("Log in, or send 'Authorization: Bearer' with a token from your account page.")
        if isinstance(request.auth, ApiToken) and not set(access.scopes) & set(request.auth.scopes):
            wanted = " or ".join(f"'{scope}'" for scope in access.scopes)
            raise PermissionDenied(f"This token lacks the scope {wanted}: make one that has it on your account page.")
        if access.permission is not None and not request.user.has_perm(access.permission):
            raise PermissionDenied(
                f"Your account lacks the permission '{access.permission}': ask an administrator for a role that has it."
            )
        return True
