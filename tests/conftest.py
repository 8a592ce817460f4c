"""Fixtures that every test may use: the private database, Redis, the shared data folder, the whole stack."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from pytest_django import DjangoDbBlocker

from tests.support.servers import Plan, Redis, plan, require
from tests.support.sqlite_run import SqliteRun
from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no failure, and CI tries the same examples each time; elsewhere new ones are looked for.
hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def servers() -> Plan:
    """Where this run's private servers are; ask ``postgres`` or ``redis_server`` for a running one."""
    return plan()


@pytest.fixture(scope="session")
def redis_server(servers: Plan) -> Redis:
    """A running private Redis."""
    require("Redis")
    servers.redis.start()
    return servers.redis


@pytest.fixture(scope="session")
def database_server(servers: Plan) -> str:
    """URL of the running database of this run (Postgres, or SQLite when asked for)."""
    url = os.environ["DATABASE_URL"]
    if url.startswith("postgres"):
        require("PostgreSQL")
        servers.postgres.start()
    return url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_server: str) -> None:
    """pytest-django asks for this before it makes the test database: by then Postgres has to run."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared recordings beside the repository; read only, never copied from."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here (recordings for development, not part of the repository)")
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The system's Chromium, for Playwright's ``executable_path``."""
    return require("Chromium")


@pytest.fixture(scope="session")
def stack(
    servers: Plan, database_server: str, redis_server: Redis, django_db_blocker: DjangoDbBlocker
) -> Iterator[Stack]:
    """The running product: real web server, inference server and worker on private Postgres and Redis."""
    running = Stack(servers.folder / "stack", servers, django_db_blocker.unblock)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def embedded(servers: Plan, django_db_blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """The product as ``make run`` starts it on a fresh machine: no other server, the shipped models."""
    if not (ROOT / "ml" / "weights" / "s2s-cpu.safetensors").exists():
        pytest.skip("the shipped weights are not here")
    running = Stack(servers.folder / "embedded", servers, django_db_blocker.unblock, embedded=True)
    try:
        running.start()
        yield running
    finally:
        running.stop()


SQLITE_RUN = pytest.StashKey[SqliteRun]()
MANY = 500
"""Tests of a run that is long enough to have the SQLite run beside it."""


@pytest.fixture(scope="session")
def sqlite_run(pytestconfig: pytest.Config) -> SqliteRun:
    """The web side's tests on SQLite, begun already where this run is a long one."""
    return pytestconfig.stash.setdefault(SQLITE_RUN, SqliteRun())


def pytest_collection_finish(session: pytest.Session) -> None:
    """A long run has the SQLite run beside its first tests, which keep one core busy at the most."""
    asked = any("sqlite_run" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and len(session.items) > MANY and not session.config.option.collectonly:
        session.config.stash.setdefault(SQLITE_RUN, SqliteRun()).start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left behind."""
    if SQLITE_RUN in config.stash:
        config.stash[SQLITE_RUN].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test that used the stack shows the processes' logs."""
    report = yield
    for name, running in getattr(item, "funcargs", {}).items():
        if report.failed and isinstance(running, Stack):
            report.sections.append((f"logs of the {name}", running.logs()))
    return report
