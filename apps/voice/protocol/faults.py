"""What can go wrong on a connection, with its close code."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """What can go wrong on a connection: the ``code`` of an error event, with its WebSocket close code."""

    HELLO_TIMEOUT = "hello_timeout"
    BAD_JSON = "bad_json"
    BAD_MESSAGE = "bad_message"
    BAD_FRAME = "bad_frame"
    FRAME_SIZE = "frame_size"
    OUT_OF_ORDER = "out_of_order"
    TOO_SLOW = "too_slow"
    OVERSIZE = "oversize"
    RESUME_EXPIRED = "resume_expired"
    INFERENCE_LOST = "inference_lost"
    GOING_AWAY = "going_away"
    BUSY = "busy"
    ENDED_BY_OPERATOR = "ended_by_operator"
    HELLO_FIRST = "hello_first"
    LOGIN_REQUIRED = "login_required"

    @property
    def close_code(self) -> int:
        """The WebSocket close code (4xxx: Daphne refuses an application's 1xxx codes other than 1000)."""
        return _CLOSE_CODES[self]

    @property
    def immediate(self) -> bool:
        """True when the first occurrence closes the connection; otherwise it is an offence that is counted."""
        return self not in _OFFENCES


CLOSE_NORMAL = 1000

_CLOSE_CODES: dict[ErrorCode, int] = {
    ErrorCode.HELLO_TIMEOUT: 4001,
    ErrorCode.BAD_JSON: 4002,
    ErrorCode.BAD_MESSAGE: 4003,
    ErrorCode.BAD_FRAME: 4004,
    ErrorCode.FRAME_SIZE: 4005,
    ErrorCode.OUT_OF_ORDER: 4006,
    ErrorCode.TOO_SLOW: 4008,
    ErrorCode.OVERSIZE: 4009,
    ErrorCode.RESUME_EXPIRED: 4010,
    ErrorCode.INFERENCE_LOST: 4011,
    ErrorCode.GOING_AWAY: 4012,
    ErrorCode.BUSY: 4013,
    ErrorCode.ENDED_BY_OPERATOR: 4014,
    ErrorCode.HELLO_FIRST: 4400,
    ErrorCode.LOGIN_REQUIRED: 4401,
}
_OFFENCES = frozenset(
    {ErrorCode.BAD_JSON, ErrorCode.BAD_MESSAGE, ErrorCode.BAD_FRAME, ErrorCode.FRAME_SIZE, ErrorCode.OUT_OF_ORDER}
)


class ProtocolFault(Exception):
    """A peer broke the protocol, or the connection has to end: ``code``, words for people, and what to do."""

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint
