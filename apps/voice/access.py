"""Who is talking: a user, or a guest known by a key in the Django session (never shown to scripts or URLs)."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

GUEST_SESSION_KEY = "voice_guest"
_TRANSIENT = "transient-"


def guest_key_of(session: Any) -> str:
    """The guest key of a Django session (or of ``scope["session"]``), empty when it has none."""
    key = session.get(GUEST_SESSION_KEY, "") if session is not None else ""
    return key if isinstance(key, str) else ""


def ensure_guest_key(session: SessionBase) -> str:
    """The guest key of a Django session, made when missing."""
    key = guest_key_of(session)
    if not key:
        key = secrets.token_urlsafe(24)
        session[GUEST_SESSION_KEY] = key
    return key


def transient_guest_key() -> str:
    """A key for a client without cookies, good for one connection."""
    return _TRANSIENT + secrets.token_urlsafe(24)


def is_transient(key: str) -> bool:
    """Whether this key belongs to a client without cookies."""
    return key.startswith(_TRANSIENT)


def same_guest(stored: str, given: str) -> bool:
    """Is the guest who asks (`given`) the one a row belongs to (`stored`)?

    Clients without cookies get a new transient key with each connection: among them the resume token alone decides.
    """
    if stored.startswith(_TRANSIENT) and given.startswith(_TRANSIENT):
        return True
    return bool(stored) and secrets.compare_digest(stored.encode(), given.encode())
