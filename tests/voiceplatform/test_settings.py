"""Settings modules in processes of their own, as they are started."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from voiceplatform.env import BASE_DIR
from voiceplatform.secret_key import development_key

GOOD = {
    "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.production",
    "SECRET_KEY": "correct-horse-battery-staple-0123456789-abcdefghijklmnop",
    "ALLOWED_HOSTS": "voice.example.org",
    "DATABASE_URL": "postgres://voice:voice@127.0.0.1:1/voice",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def run(var_dir: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python in the repository with only this environment."""
    environ = {"PATH": os.environ["PATH"], "VOICE_VAR_DIR": str(var_dir), **environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def settings_of(var_dir: Path, names: list[str], **environ: str) -> dict[str, Any]:
    code = (
        "import django, json; django.setup(); from django.conf import settings; "
        f"print(json.dumps({{n: getattr(settings, n) for n in {names!r}}}, default=str))"
    )
    done = run(var_dir, "-c", code, **environ)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# --- development ---------------------------------------------------------------------------------------------------


def test_development_is_embedded(tmp_path: Path) -> None:
    names = ["DATABASES", "CHANNEL_LAYERS", "CELERY_BROKER_URL", "DEBUG", "VOICE_ALLOW_GUESTS", "SECRET_KEY"]
    values = settings_of(tmp_path, names, DJANGO_SETTINGS_MODULE="voiceplatform.settings.dev")
    database = values["DATABASES"]["default"]
    assert database["NAME"] == str(tmp_path / "db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert values["CHANNEL_LAYERS"]["default"]["BACKEND"] == "channels.layers.InMemoryChannelLayer"
    assert values["CELERY_BROKER_URL"] == "filesystem://"
    assert (values["DEBUG"], values["VOICE_ALLOW_GUESTS"]) == (False, True)
    assert values["SECRET_KEY"] == json.loads((tmp_path / "secrets.json").read_text())["secret_key"]


def test_sqlite_really_runs_in_wal_and_waits_for_locks(tmp_path: Path) -> None:
    code = (
        "import django; django.setup(); from django.db import connection; c = connection.cursor(); "
        "print(*[c.execute(f'PRAGMA {p}').fetchone()[0] for p in ('journal_mode', 'busy_timeout', 'foreign_keys')])"
    )
    done = run(tmp_path, "-c", code, DJANGO_SETTINGS_MODULE="voiceplatform.settings.dev")
    assert done.stdout.split() == ["wal", "20000", "1"], done.stderr


def test_a_bad_variable_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", PORT="http")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: environment variable PORT: 'http' is not a whole number"]


# --- the development key -------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = development_key(tmp_path / "new")
    assert len(key) >= 50
    assert development_key(tmp_path / "new") == key
    assert stat.S_IMODE((tmp_path / "new" / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secrets.json"]


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: development_key(tmp_path), range(16)))) == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"secret_key": 5}', '{"secret_key": "short"}'])
def test_a_broken_key_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(ImproperlyConfigured, match=r"secrets\.json.*delete it"):
        development_key(tmp_path)


# --- production ----------------------------------------------------------------------------------------------------


def test_a_good_production_passes_check_deploy_without_a_warning(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **GOOD)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"SECRET_KEY": ""}, "voice.E001"),
        ({"SECRET_KEY": "short"}, "voice.E002"),
        ({"SECRET_KEY": "a" * 64}, "voice.E002"),
        ({"DEBUG": "1"}, "voice.E003"),
        ({"ALLOWED_HOSTS": ""}, "voice.E004"),
        ({"ALLOWED_HOSTS": "voice.example.org,*"}, "voice.E005"),
        ({"DATABASE_URL": ""}, "voice.E006"),
        ({"REDIS_URL": ""}, "voice.E007"),
    ],
    ids=str,
)
def test_an_unsafe_production_is_refused_by_check_and_by_the_web_process(
    tmp_path: Path, changes: dict[str, str], check: str
) -> None:
    environ = {**GOOD, **changes}
    done = run(tmp_path, "manage.py", "check", "--deploy", **environ)
    assert done.returncode == 1
    assert check in done.stderr
    served = run(tmp_path, "-c", "import voiceplatform.asgi", **environ)
    assert served.returncode != 0
    assert "unsafe production settings" in served.stderr
    variable = next(iter(changes))
    assert variable in served.stderr.splitlines()[-1]


def test_a_good_production_serves(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "import voiceplatform.asgi", **GOOD)
    assert done.returncode == 0, done.stderr


def test_production_keeps_connections_in_a_pool_and_shuts_guests_out(tmp_path: Path) -> None:
    names = ["DATABASES", "VOICE_ALLOW_GUESTS", "SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT"]
    values = settings_of(tmp_path, names, **GOOD)
    assert values["DATABASES"]["default"]["CONN_MAX_AGE"] == 0
    assert values["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] > 1
    assert values["VOICE_ALLOW_GUESTS"] is False
    assert (values["SESSION_COOKIE_SECURE"], values["SECURE_SSL_REDIRECT"]) == (True, True)


def test_other_settings_pass_check_but_not_check_deploy(tmp_path: Path) -> None:
    dev = {"DJANGO_SETTINGS_MODULE": "voiceplatform.settings.dev"}
    assert run(tmp_path, "manage.py", "check", **dev).returncode == 0
    done = run(tmp_path, "manage.py", "check", "--deploy", **dev)
    assert done.returncode == 1
    assert "voice.E006" in done.stderr
    assert "voice.E007" in done.stderr
