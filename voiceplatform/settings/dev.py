"""What ``make run`` uses: embedded defaults, nothing to configure."""

from __future__ import annotations

from voiceplatform.secret_key import development_key
from voiceplatform.settings.base import *  # noqa: F403
from voiceplatform.settings.base import ALLOWED_HOSTS, DEBUG, ENV, TEMPLATES, VAR_DIR

SECRET_KEY = ENV.secret_key or development_key(VAR_DIR)
ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
VOICE_ALLOW_GUESTS = ENV.allow_guests is not False

if DEBUG:
    # Templates are read anew at each request, so that an edit shows at once.
    TEMPLATES[0]["APP_DIRS"] = False
    TEMPLATES[0]["OPTIONS"]["loaders"] = [
        "django.template.loaders.filesystem.Loader",
        "django.template.loaders.app_directories.Loader",
    ]
