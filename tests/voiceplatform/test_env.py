"""The environment: typed, with defaults, and errors that name the variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voiceplatform import env
from voiceplatform.env import BASE_DIR, EnvError, read_env


def test_defaults_need_nothing() -> None:
    values = read_env({})
    assert values.database == {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / "var/db.sqlite3")}
    assert values.inference_urls == (f"unix://{BASE_DIR}/var/run/inference.sock",)
    assert (values.redis_url, values.secret_key, values.allow_guests, values.debug) == (None, None, None, False)
    assert (values.resume_seconds, values.lease_seconds, values.max_ahead_ms, values.slots) == (60, 15, 400, 8)
    assert (values.host, values.port, values.device, values.queues) == ("127.0.0.1", 8000, "auto", ("io", "cpu"))


def test_an_empty_variable_is_one_that_is_not_given() -> None:
    names = ["DEBUG", "REDIS_URL", "DATABASE_URL", "VOICE_SLOTS", "VOICE_DEVICE", "ALLOWED_HOSTS", "LOG_LEVEL"]
    assert read_env(dict.fromkeys(names, " ")) == read_env({})


def test_values_are_typed() -> None:
    values = read_env(
        {
            "ALLOWED_HOSTS": "voice.example.org, www.example.org",
            "CSRF_TRUSTED_ORIGINS": "https://voice.example.org",
            "INFERENCE_URLS": "tcp://10.0.0.1:9000,tcp://[::1]:9000,unix:///run/i.sock",
            "VOICE_VAR_DIR": "/srv/voice",
            "VOICE_WEIGHTS_DIR": "weights",
            "VOICE_ALLOW_GUESTS": "No",
            "DEBUG": "true",
            "VOICE_DEVICE": "CUDA:1",
            "LOG_LEVEL": "debug",
            "PORT": "8001",
        }
    )
    assert values.allowed_hosts == ("voice.example.org", "www.example.org")
    assert values.inference_urls == ("tcp://10.0.0.1:9000", "tcp://[::1]:9000", "unix:///run/i.sock")
    assert (values.var_dir, values.weights_dir) == (Path("/srv/voice"), BASE_DIR / "weights")
    assert (values.allow_guests, values.debug, values.device) == (False, True, "cuda:1")
    assert (values.log_level, values.port) == ("DEBUG", 8001)


def test_postgres_urls() -> None:
    database = read_env({"DATABASE_URL": "postgres://voice:p%40ss%2Fword@db:5433/voice?sslmode=require"}).database
    assert database == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "voice",
        "USER": "voice",
        "PASSWORD": "p@ss/word",
        "HOST": "db",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }
    socket = read_env({"DATABASE_URL": "postgresql:///voice?host=/run/postgresql"}).database
    assert (socket["HOST"], socket["PORT"], socket["OPTIONS"]) == ("/run/postgresql", "", {})


def test_sqlite_urls() -> None:
    assert read_env({"DATABASE_URL": "sqlite:////srv/db.sqlite3"}).database["NAME"] == "/srv/db.sqlite3"
    assert read_env({"DATABASE_URL": "sqlite:///x/db"}).database["NAME"] == str(BASE_DIR / "x/db")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("VOICE_ALLOW_GUESTS", "2"),
        ("VOICE_HTTPS", "y e s"),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("VOICE_RESUME_SECONDS", "0"),
        ("VOICE_LEASE_SECONDS", "-1"),
        ("VOICE_MAX_AHEAD_MS", "1.5"),
        ("VOICE_SLOTS", "many"),
        ("DATABASE_URL", "mysql://host/name"),
        ("DATABASE_URL", "postgres://host"),
        ("DATABASE_URL", "postgres://u:pa/ss@host:port/name"),
        ("DATABASE_URL", "sqlite://"),
        ("REDIS_URL", "http://host"),
        ("INFERENCE_URLS", "localhost:9000"),
        ("INFERENCE_URLS", "unix://relative.sock"),
        ("INFERENCE_URLS", "tcp://host"),
        ("INFERENCE_URLS", "tcp://host:port"),
        ("CSRF_TRUSTED_ORIGINS", "voice.example.org"),
        ("VOICE_QUEUES", "io,tpu"),
        ("VOICE_DEVICE", "tpu"),
        ("VOICE_DEVICE", "cuda:x"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(EnvError, match=rf"environment variable {name}: ") as caught:
        read_env({name: value})
    assert caught.value.name == name


def test_a_password_never_shows_in_an_error() -> None:
    for url in ("postgres://u:hunter2@host:port/name", "postgres://u:hunter2@host", "mysql://u:hunter2@host/x"):
        with pytest.raises(EnvError) as caught:
            read_env({"DATABASE_URL": url})
        assert "hunter2" not in str(caught.value)


def test_the_table_names_every_variable_that_is_read() -> None:
    source = Path(env.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'read\.\w+\("([A-Z_]+)"', source))
    assert len(read) > 15
    assert {name for name in read if f"``{name}``" not in (env.__doc__ or "")} == set()
