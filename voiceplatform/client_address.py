"""From which address a request comes."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The peer's address; behind a trusted proxy, the one that this proxy saw.

    Only the last entry of ``X-Forwarded-For`` is the proxy's own word, all before it are the client's.
    """
    if settings.VOICE_TRUST_PROXY:
        forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    return str(request.META.get("REMOTE_ADDR") or "127.0.0.1")
