"""A private Postgres and a private Redis for one test run: own folder, own ports, gone with the process."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from scripts.setup import SYSTEM, find_binary
from tests.support.waiting import wait_until
from voiceplatform.launcher.children import parent_death_signal

DEADLINE_S = 60.0


class Missing(Exception):
    """A system binary that a test needs is not installed; the message says how to get it."""


def binary(label: str) -> str:
    """Path of the program behind ``label`` ("PostgreSQL", "Redis", "Chromium")."""
    package, names = SYSTEM[label]
    if (found := find_binary(*names)) is None:
        raise Missing(f"{label} is not installed (apt-get install {package})")
    return found


def require(label: str) -> str:
    """The same for fixtures: in CI a missing program is a failure, elsewhere the test is skipped with the reason."""
    try:
        return binary(label)
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Server:
    """One server program: planned (address known), started on demand, stopped at exit."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self, command: list[str], user: str | None = None) -> None:
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                user=user,
                preexec_fn=parent_death_signal(),  # a killed test run leaves no server behind
            )
        process = self.process

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{self.log.read_text()[-2000:]}")
            return accepts(self.port)

        wait_until(ready, DEADLINE_S, f"{command[0]} to listen on {self.port}")

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(kind)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Postgres(Server):
    """Postgres without durability, as an unprivileged user where the tests run as root (it refuses root)."""

    @property
    def url(self) -> str:
        return f"postgres://voice:voice@127.0.0.1:{self.port}/voice"

    def start(self) -> None:
        if self.running:
            return
        initdb = Path(binary("PostgreSQL"))
        programs = initdb.resolve().parent if (initdb.resolve().parent / "postgres").exists() else initdb.parent
        data = self.folder / "data"
        user = None
        if os.geteuid() == 0:
            user = "postgres" if _user_exists("postgres") else "nobody"
            shutil.chown(self.folder, user)
        if not data.exists():
            command = [str(programs / "initdb"), "-D", str(data), "-U", "voice", "--auth=trust", "-E", "UTF8"]
            command += ["--locale=C.UTF-8", "--no-sync"]
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=self.folder)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *options]
        self.launch(command, user=user)
        self.create_database("voice")

    def create_database(self, name: str) -> None:
        """Make an empty database ``name`` unless it is there; waits while the server still starts up."""
        import psycopg

        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                address = f"host=127.0.0.1 port={self.port} user=voice dbname=postgres"
                with psycopg.connect(address, autocommit=True) as link:
                    if not link.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                        link.execute(f'create database "{name}"')
                return
            except psycopg.OperationalError:  # "the database system is starting up"
                if time.monotonic() > deadline:
                    raise

    def stop(self, kind: signal.Signals = signal.SIGINT) -> None:
        super().stop(kind)  # SIGINT is Postgres' fast shutdown


class Redis(Server):
    """Redis in memory only."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        if not self.running:
            options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            self.launch([binary("Redis"), *options, "--dir", str(self.folder)])


def _user_exists(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@dataclass
class Plan:
    """The servers of this run and the folder that holds them."""

    folder: Path
    postgres: Postgres
    redis: Redis

    def database_for(self, name: str) -> str:
        """URL of an empty database of its own beside the suite's one, on the same kind of server."""
        if os.environ["DATABASE_URL"].startswith("sqlite"):
            return f"sqlite:///{self.folder}/{name}.sqlite3"
        self.postgres.start()
        self.postgres.create_database(f"voice_{name}")
        return self.postgres.url.removesuffix("/voice") + f"/voice_{name}"

    def stop(self) -> None:
        self.redis.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_plan: Plan | None = None


def plan() -> Plan:
    """Decide once where the servers will be and put that into the environment, before Django's settings are read.

    ``VOICE_TEST_DATABASE=sqlite`` runs the suite on SQLite instead; so does a machine without Postgres, outside CI.
    """
    global _plan
    if _plan is not None:
        return _plan
    folder = Path(tempfile.mkdtemp(prefix="voice-tests-"))
    folder.chmod(0o755)
    for name in ("postgres", "redis", "var"):
        (folder / name).mkdir()
    _plan = Plan(folder, Postgres(folder / "postgres", free_port()), Redis(folder / "redis", free_port()))
    atexit.register(_plan.stop)
    os.environ["VOICE_VAR_DIR"] = str(folder / "var")
    # in this process events stay in memory; the stack fixture gives its own processes the private Redis
    os.environ.pop("REDIS_URL", None)
    sqlite = os.environ.get("VOICE_TEST_DATABASE") == "sqlite"
    if not sqlite and find_binary(*SYSTEM["PostgreSQL"][1]) is None and not os.environ.get("CI"):
        sqlite = True
    os.environ["DATABASE_URL"] = f"sqlite:///{folder}/var/db.sqlite3" if sqlite else _plan.postgres.url
    return _plan
