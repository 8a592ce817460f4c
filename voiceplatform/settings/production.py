"""Production: everything from the environment, and `voiceplatform.checks` refuses what is unsafe."""

from __future__ import annotations

from voiceplatform.secret_key import INSECURE_KEY
from voiceplatform.settings.base import *  # noqa: F403
from voiceplatform.settings.base import ENV, STORAGES

VOICE_PRODUCTION = True
SECRET_KEY = ENV.secret_key or INSECURE_KEY

STORAGES["staticfiles"] = {"BACKEND": "voiceplatform.storage.HashedStaticFilesStorage"}
WHITENOISE_USE_FINDERS = False
WHITENOISE_AUTOREFRESH = False

# Only a stack that ends TLS elsewhere, or a test of this very configuration, turns it off.
_https = ENV.https is not False
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come over plain http from inside
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
