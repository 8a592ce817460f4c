"""Reads of tokens."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import QuerySet

from apps.accounts.models import ApiToken, Scope
from apps.accounts.secrets import token_digest


def tokens_of(*, user: User) -> QuerySet[ApiToken]:
    """A person's tokens, the newest first."""
    return ApiToken.objects.filter(user=user)


def token_usable(*, secret: str, now: datetime) -> ApiToken | None:
    """The token with that secret, with its user, if it may be used now; else None."""
    token = ApiToken.objects.select_related("user").filter(digest=token_digest(secret)).first()
    return token if token is not None and token.usable(now) else None


def token_still_usable(*, token_id: int, scope: str, now: datetime) -> bool:
    """May a connection that this token opened stay open?"""
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    return token is not None and token.usable(now) and scope in token.scopes


def token_for_chat(*, token_id: int, now: datetime) -> ApiToken | None:
    """That token, with its user, if it may still talk; else None."""
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    return token if token is not None and token.usable(now) and Scope.CHAT in token.scopes else None
