"""Errors as ``application/problem+json`` (RFC 9457): what is wrong, in which field, and what to do."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import ProtectedError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict, ReturnList

from apps.voice.errors import ServiceError

CONTENT_TYPE = "application/problem+json"

_SERVICE_STATUS = {
    "login_required": status.HTTP_403_FORBIDDEN,
    "unknown_session": status.HTTP_404_NOT_FOUND,
    "session_ended": status.HTTP_409_CONFLICT,
    **dict.fromkeys(("unknown_job", "unknown_dataset", "unknown_version"), status.HTTP_404_NOT_FOUND),
    **dict.fromkeys(
        ("job_over", "job_not_over", "dataset_closed", "dataset_in_use", "no_former", "refused", "bad_weights"),
        status.HTTP_409_CONFLICT,
    ),
    **dict.fromkeys(("not_audio", "unknown_preset"), status.HTTP_400_BAD_REQUEST),
    "too_big": status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    "disk_full": status.HTTP_507_INSUFFICIENT_STORAGE,
}
_HINTS = {
    "parse_error": "Send valid JSON.",
    "not_authenticated": "Log in, or send a token.",
    "authentication_failed": "Make a new token on your account page.",
    "not_found": "Check the address; what belongs to others is not shown either.",
    "method_not_allowed": "See the header Allow for what this address can do.",
    "not_acceptable": "Ask for application/json.",
    "unsupported_media_type": "Send application/json.",
    "throttled": "Wait as long as Retry-After says.",
    "invalid": "Correct the named fields and send it again.",
}


class Problem(exceptions.APIException):
    """A refusal with a code of its own and a hint."""

    def __init__(self, status_code: int, code: str, detail: str, hint: str) -> None:
        super().__init__(detail, code)
        self.status_code = status_code
        self.hint = hint


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler; None (a bug: 500) for what nobody foresaw."""
    if isinstance(error, ServiceError):
        code = _SERVICE_STATUS.get(error.code, status.HTTP_400_BAD_REQUEST)
        return problem(code, error.code, error.message, error.hint)
    if isinstance(error, ProtectedError):
        return problem(409, "in_use", "Other rows refer to this.", "Withdraw it (is_published: false) instead.")
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, ValidationError):
        error = exceptions.ValidationError(get_error_detail(error))
    if not isinstance(error, exceptions.APIException):
        return None
    response = _from_api_exception(error)
    if (wait := getattr(error, "wait", None)) is not None:  # throttled
        response["Retry-After"] = str(int(wait) + 1)
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    return response


def _from_api_exception(error: exceptions.APIException) -> Response:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flat(error.detail))
        words = "; ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in errors)
        return problem(error.status_code, "invalid", words, _HINTS["invalid"], errors=errors)
    code = str(error.get_codes()) if isinstance(error.detail, str) else error.default_code
    hint = getattr(error, "hint", _HINTS.get(code, ""))
    return problem(error.status_code, code, str(error.detail), hint)


def problem(
    status_code: int, code: str, detail: str, hint: str = "", *, errors: list[dict[str, str]] | None = None
) -> Response:
    """A response with a problem."""
    body: dict[str, Any] = {
        "type": f"urn:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status_code,
        "code": code,
        "detail": detail,
        "hint": hint,
    }
    if errors is not None:
        body["errors"] = errors
    return Response(body, status=status_code, content_type=CONTENT_TYPE)


def _flat(detail: Any, field: str = "") -> Any:
    """Pairs of field (dotted) and message from DRF's nested details."""
    if isinstance(detail, dict | ReturnDict):
        for key, value in detail.items():
            name = "" if key in ("non_field_errors", "__all__") else str(key)
            yield from _flat(value, ".".join(part for part in (field, name) if part))
    elif isinstance(detail, list | ReturnList | tuple):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from _flat(value, f"{field}.{index}" if nested and field else field)
    else:
        yield {"field": field, "message": str(detail)}
