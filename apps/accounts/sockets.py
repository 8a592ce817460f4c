"""``Authorization: Bearer tvp_…`` in a WebSocket handshake: programs can send it, pages cannot."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from channels.security.websocket import WebsocketDenier
from django.utils import timezone

from apps.accounts import selectors, services
from apps.accounts.models import ApiToken, Scope

_PREFIX = b"bearer "


class TokenLogin:
    """With a token that may talk, the socket is its owner's; with any other it is refused; without one, nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        given = [value for name, value in scope.get("headers", []) if name == b"authorization"]
        if not given:
            return await self._inner(scope, receive, send)
        token = await database_sync_to_async(_token)(given[0])
        if token is None:
            return await WebsocketDenier()(scope, receive, send)
        return await self._inner({**scope, "user": token.user, "api_token_id": token.pk}, receive, send)


def _token(header: bytes) -> ApiToken | None:
    if not header.lower().startswith(_PREFIX):
        return None
    now = timezone.now()
    token = selectors.token_usable(secret=header[len(_PREFIX) :].strip().decode("latin-1"), now=now)
    if token is None or Scope.CHAT not in token.scopes:
        return None
    services.token_touch(token=token, now=now)
    return token
