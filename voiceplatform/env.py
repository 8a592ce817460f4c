"""The environment, read in one place.

================================ ========================================= ============================================
variable                         default                                   meaning
================================ ========================================= ============================================
``SECRET_KEY``                   dev: made once, in ``var/secrets.json``   Django's signing key, 50 characters or more
``DEBUG``                        0                                         error pages with source; never in production
``ALLOWED_HOSTS``                dev: localhost, 127.0.0.1, [::1]          host names this site answers to, by comma
``CSRF_TRUSTED_ORIGINS``         empty                                     ``https://host`` behind a proxy, by comma
``DATABASE_URL``                 ``sqlite:///<var>/db.sqlite3``            ``postgres://user:password@host:port/name``
``REDIS_URL``                    none: everything in process               broker, events; ``redis://host:port/0``
``INFERENCE_URLS``               ``unix://<var>/run/inference.sock``       inference servers, by comma; or ``tcp://host:port``
``VOICE_VAR_DIR``                ``var``                                   where everything written at run time goes
``VOICE_ALLOW_GUESTS``           dev: 1, production: 0                     may people talk without an account?
``VOICE_RESUME_SECONDS``         60                                        how long a dropped session can be resumed
``VOICE_LEASE_SECONDS``          15                                        without renewal a live session is lost
``VOICE_MAX_AHEAD_MS``           400                                       audio sent ahead of what was played
``VOICE_RETENTION_DAYS``         0: for ever                               older turns and recordings are deleted
``VOICE_METRICS_TOKEN``          none: for the staff only                  ``Authorization: Bearer`` for ``/metrics``
``VOICE_SLOTS``                  8                                         live sessions of one inference server
``VOICE_WEIGHTS_DIR``            ``ml/weights``                            shipped weights and their cards
``VOICE_QUEUES``                 io,cpu                                    queues that have a worker
``VOICE_DEVICE``                 auto                                      auto, cpu, cuda or cuda:N
``VOICE_JOB_NICENESS``           19                                        priority of jobs; 0 where nobody talks
``VOICE_HTTPS``                  production: 1, else 0                     secure cookies, redirect to https, HSTS
``VOICE_TRUST_PROXY``            0                                         believe a proxy's ``X-Forwarded-Proto``
``VOICE_PAGE_DEBUG``             0                                         page exposes its state to browser tests
``VOICE_REALTIME_TRANSCRIPTS``   1                                         ``/v1/realtime`` sends captions, too
``VOICE_OPUS``                   1                                         offer Opus to clients that speak it
``LOG_LEVEL``                    INFO                                      DEBUG, INFO, WARNING or ERROR
``HOST``, ``PORT``               127.0.0.1, 8000                           where ``manage.py launch`` serves
================================ ========================================= ============================================

Relative paths are taken from the repository's root. A value that cannot be used raises :class:`EnvError`, whose
message names the variable and says what would do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
QUEUES = ("io", "cpu", "gpu")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class EnvError(ImproperlyConfigured):
    """An environment variable has a value that cannot be used."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"environment variable {name}: {problem}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Env:
    """Typed values of the table above. ``None`` means: not given, the settings module decides."""

    secret_key: str | None
    debug: bool
    allowed_hosts: tuple[str, ...] | None
    csrf_trusted_origins: tuple[str, ...]
    database: dict[str, Any]
    redis_url: str | None
    inference_urls: tuple[str, ...]
    var_dir: Path
    allow_guests: bool | None
    realtime_transcripts: bool | None
    opus: bool | None
    resume_seconds: int
    lease_seconds: int
    max_ahead_ms: int
    retention_days: int
    metrics_token: str
    slots: int
    weights_dir: Path
    queues: tuple[str, ...]
    device: str
    job_niceness: int
    https: bool | None
    trust_proxy: bool
    page_debug: bool
    log_level: str
    host: str
    port: int


def read_env(environ: Mapping[str, str] | None = None) -> Env:
    """All variables, checked. ``environ`` defaults to the process's own.

    Raises:
        EnvError: for the first variable whose value cannot be used.
    """
    read = _Reader(os.environ if environ is None else environ)
    var_dir = read.path("VOICE_VAR_DIR", "var")
    return Env(
        secret_key=read.text("SECRET_KEY"),
        debug=read.flag("DEBUG") or False,
        allowed_hosts=read.items("ALLOWED_HOSTS"),
        csrf_trusted_origins=read.origins("CSRF_TRUSTED_ORIGINS"),
        database=read.database("DATABASE_URL", var_dir),
        redis_url=read.url("REDIS_URL", ("redis", "rediss", "unix")),
        inference_urls=read.inference("INFERENCE_URLS", f"unix://{var_dir}/run/inference.sock"),
        var_dir=var_dir,
        allow_guests=read.flag("VOICE_ALLOW_GUESTS"),
        realtime_transcripts=read.flag("VOICE_REALTIME_TRANSCRIPTS"),
        opus=read.flag("VOICE_OPUS"),
        resume_seconds=read.integer("VOICE_RESUME_SECONDS", 60, 1, 3600),
        lease_seconds=read.integer("VOICE_LEASE_SECONDS", 15, 1, 600),
        max_ahead_ms=read.integer("VOICE_MAX_AHEAD_MS", 400, 40, 10_000),
        retention_days=read.integer("VOICE_RETENTION_DAYS", 0, 0, 36_500),
        metrics_token=read.text("VOICE_METRICS_TOKEN") or "",
        slots=read.integer("VOICE_SLOTS", 8, 1, 1024),
        weights_dir=read.path("VOICE_WEIGHTS_DIR", "ml/weights"),
        queues=read.choices("VOICE_QUEUES", ("io", "cpu"), QUEUES),
        device=read.device("VOICE_DEVICE"),
        job_niceness=read.integer("VOICE_JOB_NICENESS", 19, 0, 19),
        https=read.flag("VOICE_HTTPS"),
        trust_proxy=read.flag("VOICE_TRUST_PROXY") or False,
        page_debug=read.flag("VOICE_PAGE_DEBUG") or False,
        log_level=read.log_level("LOG_LEVEL"),
        host=read.text("HOST") or "127.0.0.1",
        port=read.integer("PORT", 8000, 1, 65_535),
    )


class _Reader:
    """One method per kind of value; an empty variable counts as not given."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in _TRUE | _FALSE:
            raise EnvError(name, f"{value!r} is neither yes nor no; use 1 or 0")
        return value.lower() in _TRUE

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise EnvError(name, f"{value!r} is not a whole number") from None
        if not low <= number <= high:
            raise EnvError(name, f"{number} is out of range; use {low} to {high}")
        return number

    def items(self, name: str) -> tuple[str, ...] | None:
        value = self.text(name)
        return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())

    def choices(self, name: str, default: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
        given = self.items(name)
        for item in given or ():
            if item not in known:
                raise EnvError(name, f"{item!r} is unknown; use some of {','.join(known)}")
        return given if given is not None else default

    def path(self, name: str, default: str) -> Path:
        return (BASE_DIR / Path(self.text(name) or default).expanduser()).resolve()

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and urlsplit(value).scheme not in schemes:
            raise EnvError(name, f"must begin with {' or '.join(s + '://' for s in schemes)}")
        return value

    def origins(self, name: str) -> tuple[str, ...]:
        origins = self.items(name) or ()
        for origin in origins:
            if urlsplit(origin).scheme not in ("http", "https"):
                raise EnvError(name, f"{origin!r} must begin with https:// or http://")
        return origins

    def inference(self, name: str, default: str) -> tuple[str, ...]:
        addresses = self.items(name) or (default,)
        for address in addresses:
            try:
                parts = urlsplit(address)
                good = (parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc) or (
                    parts.scheme == "tcp" and bool(parts.hostname) and parts.port is not None
                )
            except ValueError:  # a port that is no number
                good = False
            if not good:
                raise EnvError(name, f"{address!r} is no address; use unix:///absolute/path.sock or tcp://host:port")
        return addresses

    def device(self, name: str) -> str:
        value = (self.text(name) or "auto").lower()
        if value not in ("auto", "cpu", "cuda") and not (value.startswith("cuda:") and value[5:].isdigit()):
            raise EnvError(name, f"{value!r} is unknown; use auto, cpu, cuda or cuda:N")
        return value

    def log_level(self, name: str) -> str:
        value = (self.text(name) or "INFO").upper()
        if value not in _LOG_LEVELS:
            raise EnvError(name, f"{value!r} is unknown; use one of {', '.join(_LOG_LEVELS)}")
        return value

    def database(self, name: str, var_dir: Path) -> dict[str, Any]:
        """Engine, name and login of ``DATABASES['default']``; the settings add what each engine needs."""
        value = self.text(name)
        if value is None:
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(var_dir / "db.sqlite3")}
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError as error:
            raise EnvError(name, f"cannot be read ({error}); escape special characters of the password") from None
        if parts.scheme == "sqlite":
            # sqlite:///relative and sqlite:////absolute, as SQLAlchemy and others write it.
            path = unquote(parts.path)[1:]
            if parts.netloc or not path:
                raise EnvError(name, "use sqlite:///relative/path or sqlite:////absolute/path")
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / path)}
        if parts.scheme not in ("postgres", "postgresql"):
            raise EnvError(name, f"scheme {parts.scheme!r} is unknown; use postgres:// or sqlite:///")
        if len(parts.path) < 2:
            raise EnvError(name, "names no database; use postgres://user:password@host:port/name")
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path[1:]),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            # A host in the query (?host=/run/postgresql) is how a unix socket is given.
            "HOST": options.pop("host", unquote(parts.hostname or "")),
            "PORT": str(port or ""),
            "OPTIONS": dict(options),
        }
