"""Resume tokens: 256 random bits, of which only the SHA-256 is stored.

A plain hash suffices: unlike a password, such a token cannot be guessed, so that there is nothing to slow down.
"""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """43 characters, safe in JSON and URLs."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Hex SHA-256, as stored in ``VoiceSession.resume_hash``."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
