"""Tests: fast hashing, files under ``VOICE_VAR_DIR`` (a temporary folder there), everything else as served.

The database is the one that ``DATABASE_URL`` names (the suite starts a private Postgres), else SQLite.
"""

from __future__ import annotations

from voiceplatform.settings.base import *  # noqa: F403
from voiceplatform.settings.base import API_THROTTLE_RATES, DATABASES, ENV, VAR_DIR

SECRET_KEY = ENV.secret_key or "tests-only-" + "k" * 50
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1", "[::1]"]
VOICE_ALLOW_GUESTS = ENV.allow_guests is not False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
API_THROTTLE_RATES = dict.fromkeys(API_THROTTLE_RATES, 1_000_000)  # the throttles' own tests set theirs

# The runner creates and drops databases, which a pool's background connections would hold open.
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as served: Django's in-memory default shares one cache, which locks whole tables between threads.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
