"""What a client is told when an event of its cannot be carried out."""

from __future__ import annotations

from typing import Literal

Kind = Literal["invalid_request_error", "server_error"]


class RealtimeError(Exception):
    """Becomes an ``error`` event. ``code`` is the protocol's; ``param`` the path of the field at fault."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_value",
        param: str | None = None,
        event_id: str | None = None,
        kind: Kind = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.event_id = event_id
        self.kind = kind


def unsupported(param: str, message: str) -> RealtimeError:
    """A value that the protocol knows and this platform does not have."""
    return RealtimeError(message, code="unsupported_value", param=param)
