"""The suite's database is Postgres; the embedded default is SQLite. Migrations, models and services hold there too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ["tests/voice", "tests/speakers", "tests/training", "tests/voiceplatform"]


@pytest.mark.skipif(os.environ.get("VOICE_TEST_DATABASE") == "sqlite", reason="this is the SQLite run")
def test_the_web_side_passes_on_sqlite() -> None:
    parts = [part for part in PARTS if list((ROOT / part).glob("test_*.py"))]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "django_db and not integration and not browser",
        "-p",
        "no:cacheprovider",
    ]
    environ = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "VOICE_VAR_DIR")}
    done = subprocess.run(
        [*command, *parts],
        cwd=ROOT,
        env={**environ, "VOICE_TEST_DATABASE": "sqlite"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_suite_runs_on_the_test_settings() -> None:
    """An import in the wrong place once made it run on the dev settings, unnoticed until SQLite locked."""
    assert settings.SETTINGS_MODULE == "voiceplatform.settings.test"
