"""The secrets of API tokens.

A plain hash suffices: unlike a password, 256 random bits cannot be guessed, so that there is nothing to slow down.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

TOKEN_PREFIX = "tvp_"
"""Tells people and secret scanners what they look at."""


def new_secret() -> str:
    """The prefix and 43 characters, safe in headers, JSON and URLs."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(secret: str) -> str:
    """Hex SHA-256 of a token's secret, as stored."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
