"""What development, tests and production share. What differs between machines comes from `voiceplatform.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from voiceplatform.env import BASE_DIR, read_env
from voiceplatform.settings import unfold
from voiceplatform.settings.api import *  # noqa: F403

ENV = read_env()

VAR_DIR: Path = ENV.var_dir
for _folder in ("media", "celery/messages", "celery/control", "run", "log", "static"):
    (VAR_DIR / _folder).mkdir(parents=True, exist_ok=True)

VOICE_PRODUCTION = False
"""True in production only: `voiceplatform.checks` then refuses whatever is unsafe."""

DEBUG = ENV.debug
ALLOWED_HOSTS: list[str] = list(ENV.allowed_hosts or ())
CSRF_TRUSTED_ORIGINS: list[str] = list(ENV.csrf_trusted_origins)

INSTALLED_APPS = [
    "voiceplatform",
    "apps.speakers",
    "apps.voice",
    "apps.training",
    "apps.console",
    "apps.accounts",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "channels",
    "csp",
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "import_export",
    "simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # its templates, for the renderer below
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "voiceplatform.middleware.StaticFilesMiddleware",
    "voiceplatform.middleware.CompressedPagesMiddleware",
    "voiceplatform.middleware.PermissionsPolicyMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "voiceplatform.middleware.TeluguFirstLocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",  # history knows who
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last, as it asks: turns a locked login into an answer
]

# axes first: it refuses a locked login before the password is looked at.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]

ROOT_URLCONF = "voiceplatform.urls"
ASGI_APPLICATION = "voiceplatform.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- database ------------------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {"default": {**ENV.database, "CONN_MAX_AGE": 0}}
_database_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Web, workers and commands share the file. IMMEDIATE takes the write lock at BEGIN: a transaction that reads
    # first and writes later would otherwise fail at once ("database is locked") instead of waiting its turn.
    _database_options.update(
        transaction_mode="IMMEDIATE",
        timeout=20,
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    )
else:
    # Under ASGI each request may run in another thread: the pool, not CONN_MAX_AGE, keeps connections warm.
    _database_options["pool"] = {"min_size": 1, "max_size": 16, "timeout": 10}
    # A pool that outlived a restart of Postgres holds dead connections: each is tried before it is handed out.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- events and jobs -----------------------------------------------------------------------------------------------

CHANNEL_LAYERS: dict[str, dict[str, Any]]
if ENV.redis_url:
    # PubSub, not the list-based layer: events are hints (each carries a sequence number, truth is the database).
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [ENV.redis_url], "prefix": "voice"},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

if ENV.redis_url:
    # Shared, so that throttles count the requests of all web processes together.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": ENV.redis_url}}

CELERY_BROKER_URL = ENV.redis_url or "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {}
    if ENV.redis_url
    else {
        # Producer and consumer use the same folder: "in" and "out" are the two ends of one queue.
        "data_folder_in": str(VAR_DIR / "celery" / "messages"),
        "data_folder_out": str(VAR_DIR / "celery" / "messages"),
        "control_folder": str(VAR_DIR / "celery" / "control"),
        "polling_interval": 0.2,  # seconds; the default makes a stop at Ctrl-C take six
    }
)
# `expires`: what a worker finds late after a pause is stale. It drops a message only when one takes it, so that
# heartbeats go to queues that have a worker alone: elsewhere they would pile up for ever.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "clear logins": {"task": "voice.clear_logins", "schedule": 24 * 3600, "options": {"queue": "io", "expires": 3600}},
    "clear kept answers": {"task": "accounts.clear", "schedule": 3600, "options": {"queue": "io", "expires": 3600}},
    "old turns": {"task": "voice.retention", "schedule": 3600, "options": {"queue": "io", "expires": 3600}},
    "reap sessions": {"task": "voice.reap", "schedule": 15, "options": {"queue": "io", "expires": 15}},
    "reap jobs": {"task": "training.reap", "schedule": 10, "options": {"queue": "io", "expires": 10}},
    "training files": {
        "task": "training.retention",
        "schedule": 24 * 3600,
        "options": {"queue": "io", "expires": 3600},
    },
    **{
        f"heartbeat {queue}": {
            "task": "training.heartbeat",
            "schedule": 30,
            "args": (queue,),
            "options": {"queue": queue, "expires": 30},
        }
        for queue in ENV.queues
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celery" / "beat-schedule")

# --- pages ---------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "te"
LANGUAGES = [("te", "తెలుగు"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "frontend" / "locale"]
USE_I18N = True
TIME_ZONE = "Asia/Kolkata"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "static"]
MEDIA_ROOT = VAR_DIR / "media"
# No MEDIA_URL: recordings are people's voices and leave only through the views that check who asks.
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "talk"
LOGOUT_REDIRECT_URL = "talk"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- admin ---------------------------------------------------------------------------------------------------------

UNFOLD = unfold.UNFOLD
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # form fields may bring templates of the project
IMPORT_EXPORT_USE_TRANSACTIONS = True
# Between "preview" and "confirm" another process may answer: the file waits in the storage that all share.
IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.MediaStorage"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "view"
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "change"

# --- security headers ----------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "worker-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:"],
        "media-src": [SELF, "blob:"],
        "connect-src": [SELF],  # covers ws: and wss: to this very host
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
PERMISSIONS_POLICY = "microphone=(self), camera=(), geolocation=(), payment=(), usb=(), interest-cohort=()"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
if ENV.trust_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- the voice platform's own --------------------------------------------------------------------------------------

INFERENCE_URLS = list(ENV.inference_urls)
REDIS_URL = ENV.redis_url
VOICE_QUEUES = list(ENV.queues)
VOICE_JOB_NICENESS = ENV.job_niceness
VOICE_TRUST_PROXY = ENV.trust_proxy
VOICE_ALLOW_GUESTS = bool(ENV.allow_guests)
VOICE_REALTIME_TRANSCRIPTS = ENV.realtime_transcripts is not False
VOICE_OPUS = ENV.opus is not False
VOICE_RESUME_SECONDS = ENV.resume_seconds
VOICE_LEASE_SECONDS = ENV.lease_seconds
VOICE_MAX_AHEAD_MS = ENV.max_ahead_ms
VOICE_RETENTION_DAYS = ENV.retention_days
VOICE_METRICS_TOKEN = ENV.metrics_token
VOICE_WEIGHTS_DIR = ENV.weights_dir
VOICE_PAGE_DEBUG = ENV.page_debug

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"not_ready": {"()": "voiceplatform.logs.NotReadyFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["not_ready"]}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Page views would drown what matters; Daphne's access log is there for them.
        "django.channels.server": {"level": "WARNING"},
    },
}
