"""``Authorization: Bearer tvp_…``: a program acts for a person."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.accounts import selectors, services
from apps.accounts.models import ApiToken

KEYWORD = "Bearer"


class TokenAuthentication(BaseAuthentication):
    """Sets ``request.user`` to the token's owner and ``request.auth`` to the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        keyword, _, secret = get_authorization_header(request).strip().partition(b" ")
        if keyword.lower() != KEYWORD.lower().encode():
            return None
        now = timezone.now()
        token = selectors.token_usable(secret=secret.strip().decode("latin-1"), now=now)
        if token is None:
            # Whether it is unknown, expired or revoked is its owner's business alone.
            raise AuthenticationFailed("This token opens nothing: make a new one on your account page.")
        services.token_touch(token=token, now=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return f'{KEYWORD} realm="api"'
