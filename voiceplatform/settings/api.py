"""Settings of the REST API, its documentation, and of what slows the guessing of passwords."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["voiceplatform.api.access.AccessPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "voiceplatform.api.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["voiceplatform.api.throttles.ByScope"],
    "DEFAULT_SCHEMA_CLASS": "voiceplatform.api.schema.Schema",
    "EXCEPTION_HANDLER": "voiceplatform.api.problems.problem_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": False,
    "DEFAULT_METADATA_CLASS": None,
}

API_THROTTLE_RATES = {"public": 120, "read": 600, "config:write": 120, "train": 60, "chat": 30, "lab": 40}
"""Requests a minute, by scope: of one token, else of one user, else (public) of one address."""

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Telugu Voice",
    "DESCRIPTION": (
        "Voices, conversations and training of a platform on which people talk in Telugu.\n\n"
        "Log in on the site (session cookie and `X-CSRFToken`), or send `Authorization: Bearer tvp_…` with a token "
        "from the account page. Errors are `application/problem+json` and say what to do. Lists come in pages: "
        "follow `next`."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/img/favicon.svg",
    "REDOC_DIST": "SIDECAR",
    "SERVE_AUTHENTICATION": None,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "voiceplatform.api.schema.add_problems",
        "voiceplatform.api.examples.add_examples",
    ],
    "SORT_OPERATIONS": True,
    "ENUM_NAME_OVERRIDES": {
        "DatasetStatus": "apps.training.models.Dataset.Status",
        "JobStatus": "apps.training.models.Job.Status",
        "SessionStatus": "apps.voice.models.VoiceSession.Status",
        "JobKind": "apps.training.models.Job.Kind",
        "ModelKind": "apps.training.models.ModelVersion.Kind",
        "NewJobKind": "apps.training.api.jobs.STARTED_HERE",
    },
}

# What is locked is the pair of account and address: nobody can lock an account's owner out from elsewhere.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "voiceplatform.client_address.client_address"
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False
