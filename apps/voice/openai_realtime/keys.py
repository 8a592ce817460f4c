"""Who may connect: API tokens with the scope ``chat``, and ephemeral keys made by them for browsers.

An ephemeral key is signed, not stored: it names the token that made it and dies with it, or at its own time. It may be
used more than once until then, as the original's. It is visible to the page that has it; it holds no secret.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.signing import BadSignature, TimestampSigner
from django.utils import timezone

from apps.accounts import selectors, services
from apps.accounts.models import ApiToken, Scope

PREFIX = "ek_"
SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
LIFE_S = (10, 7200)
DEFAULT_LIFE_S = 600
MOST_CHARACTERS = 6_000
"""A key travels in a header."""

_signer = TimestampSigner(salt="voice.realtime.key", sep=".")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a key speaks for, and the configuration that it brings."""

    user: User
    api_token_id: int
    session: dict[str, Any]


def ephemeral_key(*, token: ApiToken, seconds: int, session: dict[str, Any]) -> tuple[str, int]:
    """A key and when it expires, in seconds since the epoch. Raises ValueError when the session is too long for it."""
    expires_at = int(time.time()) + seconds
    key = PREFIX + _signer.sign_object({"t": token.pk, "x": expires_at, "s": session}, compress=True)
    if len(key) > MOST_CHARACTERS:
        raise ValueError("the session configuration is too long for a key: set its instructions by session.update")
    return key, expires_at


def key_of(scope: dict[str, Any]) -> str:
    """The key of a handshake: of the Authorization header, else of the subprotocols; empty when there is none."""
    for name, value in scope.get("headers", []):
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return str(value[7:].strip().decode("latin-1"))
    for offered in scope.get("subprotocols", []):
        if offered.startswith(KEY_SUBPROTOCOL):
            return str(offered.removeprefix(KEY_SUBPROTOCOL))
    return ""


def caller_of(key: str) -> Caller | None:
    """Whom the key speaks for; None: nobody may talk with it. Reads the database."""
    now = timezone.now()
    if not key.startswith(PREFIX):
        token = selectors.token_usable(secret=key, now=now) if key else None
        if token is None or Scope.CHAT not in token.scopes:
            return None
        services.token_touch(token=token, now=now)
        return Caller(token.user, token.pk, {})
    try:
        told = _signer.unsign_object(key.removeprefix(PREFIX), max_age=LIFE_S[1])
    except (BadSignature, ValueError):
        return None
    token = selectors.token_for_chat(token_id=told["t"], now=now) if told["x"] > time.time() else None
    return None if token is None else Caller(token.user, token.pk, told["s"])
