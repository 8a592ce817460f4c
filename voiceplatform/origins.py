"""Which sockets get in: pages of this very site, and programs, which are no pages at all."""

from __future__ import annotations

from typing import Any

from channels.security.websocket import AllowedHostsOriginValidator


class Front:
    """A handshake with an ``Origin`` must come from an allowed host; one without must carry no cookie.

    Every browser sends ``Origin``, so that a handshake without one is a program's. It gets in as nobody, and proves by
    token or ticket who it is. With a cookie but no origin it is refused: that would be a browser's login in a handshake
    whose page nobody can tell.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._checked = AllowedHostsOriginValidator(inner)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        names = {name for name, _ in scope.get("headers", [])}
        program = b"origin" not in names and b"cookie" not in names
        return await (self._inner if program else self._checked)(scope, receive, send)
