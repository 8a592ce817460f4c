"""What services raise when a wish cannot be met."""

from __future__ import annotations


class ServiceError(Exception):
    """``code`` is short and stable, ``message`` says what is wrong, ``hint`` what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint


class ResumeExpired(ServiceError):
    """The token opens nothing: too late, used before, unknown, or another person's (which of these is not told)."""

    def __init__(self) -> None:
        super().__init__("resume_expired", "this session cannot be resumed any more", "start a new session")


class TakenOver(ServiceError):
    """Another connection resumed this session; the caller's token is no longer the current one."""

    def __init__(self) -> None:
        super().__init__("taken_over", "this session goes on in another connection", "close this one")
