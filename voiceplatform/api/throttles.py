"""How often one may ask, by what the action's scope costs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from apps.accounts.models import ApiToken
from voiceplatform.api.access import access_of
from voiceplatform.client_address import client_address


class ByScope(SimpleRateThrottle):
    """One budget for each scope and token, else user, else address; see ``API_THROTTLE_RATES``."""

    budget: str | None = None
    """A rate of its own in ``API_THROTTLE_RATES``, for anyone."""

    def __init__(self) -> None:
        """The rate depends on the request: :meth:`allow_request` sets it."""

    def allow_request(self, request: Request, view: Any) -> bool:
        access = access_of(view)
        if access is None:
            return True
        self.scope = self.budget or (access.scope if request.user.is_authenticated else "public")
        self.num_requests, self.duration = settings.API_THROTTLE_RATES[self.scope], 60
        self.rate = f"{self.num_requests}/min"
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: Any) -> str:
        if isinstance(request.auth, ApiToken):
            who = f"token-{request.auth.pk}"
        elif request.user.is_authenticated:
            who = f"user-{request.user.pk}"
        else:
            django_request: HttpRequest = request._request
            who = f"address-{client_address(django_request)}"
        return f"throttle:{self.scope}:{who}"
