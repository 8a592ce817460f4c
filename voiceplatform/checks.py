"""Refuses a production that is not safe to serve.

The same list of problems is used twice: as Django system checks of level Error (every management command, Celery's
worker, ``check --deploy``), and by :func:`refuse_unsafe_production`, which the ASGI entry point calls, since Daphne
runs no checks.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from voiceplatform.secret_key import INSECURE_KEY

MIN_SECRET_KEY_CHARACTERS = 50
MIN_SECRET_KEY_DISTINCT = 5


def production_problems() -> list[Error]:
    """What the present settings lack for production, each with its remedy; empty when they are fit."""
    problems: list[Error] = []
    key = settings.SECRET_KEY
    if key == INSECURE_KEY or key.startswith("django-insecure-"):
        problems.append(
            Error("SECRET_KEY is not set.", hint="Set SECRET_KEY to 50 random characters.", id="voice.E001")
        )
    elif len(key) < MIN_SECRET_KEY_CHARACTERS or len(set(key)) < MIN_SECRET_KEY_DISTINCT:
        problems.append(
            Error(
                f"SECRET_KEY is too weak ({len(key)} characters, {len(set(key))} of them distinct).",
                hint=f"Set SECRET_KEY to {MIN_SECRET_KEY_CHARACTERS} or more random characters.",
                id="voice.E002",
            )
        )
    if settings.DEBUG:
        problems.append(
            Error("DEBUG is on: error pages would show source and settings.", hint="Unset DEBUG.", id="voice.E003")
        )
    if not settings.ALLOWED_HOSTS:
        problems.append(Error("ALLOWED_HOSTS is empty.", hint="Set ALLOWED_HOSTS=voice.example.org.", id="voice.E004"))
    elif any(host.strip() in ("*", ".") for host in settings.ALLOWED_HOSTS):
        problems.append(
            Error(
                "ALLOWED_HOSTS holds a wildcard for every host: any page could open a socket in its visitors' name.",
                hint="Name the hosts: ALLOWED_HOSTS=voice.example.org.",
                id="voice.E005",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        problems.append(
            Error(
                "The database is SQLite, which one machine's processes can share but a production must not rely on.",
                hint="Set DATABASE_URL=postgres://user:password@host:5432/name.",
                id="voice.E006",
            )
        )
    if settings.CHANNEL_LAYERS["default"]["BACKEND"].endswith("InMemoryChannelLayer"):
        problems.append(
            Error(
                "The channel layer lives in one process: events would not reach sessions served by another.",
                hint="Set REDIS_URL=redis://host:6379/0.",
                id="voice.E007",
            )
        )
    return problems


@register(Tags.security)
def check_production(**_: Any) -> list[CheckMessage]:
    """Every command refuses an unsafe production."""
    return list(production_problems()) if settings.VOICE_PRODUCTION else []


@register(Tags.security, deploy=True)
def check_deployable(**_: Any) -> list[CheckMessage]:
    """``check --deploy`` judges any settings as if they were production's (those of production: see above)."""
    return [] if settings.VOICE_PRODUCTION else list(production_problems())


def refuse_unsafe_production() -> None:
    """Raises ImproperlyConfigured, naming every problem and its remedy, if production settings are unsafe."""
    if not settings.VOICE_PRODUCTION:
        return
    problems = production_problems()
    if problems:
        lines = "; ".join(f"{problem.msg} {problem.hint}" for problem in problems)
        raise ImproperlyConfigured(f"unsafe production settings: {lines}")
