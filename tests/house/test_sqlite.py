"""The suite's database is Postgres; the embedded default is SQLite. Migrations, models and services hold there too."""

import os

import pytest
from django.conf import settings

from tests.support.sqlite_run import SqliteRun


@pytest.mark.skipif(os.environ.get("VOICE_TEST_DATABASE") == "sqlite", reason="this is the SQLite run")
def test_the_web_side_passes_on_sqlite(sqlite_run: SqliteRun) -> None:
    status, said = sqlite_run.ended()
    assert status == 0, said[-6000:]


def test_the_suite_runs_on_the_test_settings() -> None:
    """An import in the wrong place once made it run on the dev settings, unnoticed until SQLite locked."""
    assert settings.SETTINGS_MODULE == "voiceplatform.settings.test"
