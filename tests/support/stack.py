"""The whole product as processes: what ``make run`` starts, on private Postgres and Redis, free ports, own folder."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.ports import free_port
from tests.support.servers import Plan
from tests.support.waiting import wait_until
from voiceplatform.launcher.children import parent_death_signal

ROOT = Path(__file__).resolve().parent.parent.parent
START_DEADLINE_S = 240.0
STOP_DEADLINE_S = 45.0
T = TypeVar("T")

TINY_WEIGHTS = """
import sys, torch
from pathlib import Path
from ml.codec import CodecConfig, TeluCodec, export_codec
torch.manual_seed(0)
codec = TeluCodec(CodecConfig.named("tiny"))
export_codec(codec, Path(sys.argv[1]) / "codec-hifi.safetensors", {}, dtype=torch.float32)
"""


def make_tiny_weights(folder: Path) -> Path:
    """A small codec with random weights, in the shape of the real one; made in a process of its own (torch)."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-W", "ignore", "-c", TINY_WEIGHTS, str(folder)], cwd=ROOT, check=True)
    return folder


class Stack:
    """A running launcher and its children. ``url`` ends in a slash; ``ws_url`` is the native live socket.

    ``embedded``: on SQLite and a broker in files, as ``make run`` starts it where there is nothing else, with the
    models that are shipped. Else on Postgres and Redis, where conversations are held with tiny random models.
    """

    def __init__(
        self,
        folder: Path,
        servers: Plan,
        unblock: Callable[[], AbstractContextManager[Any]],
        *,
        embedded: bool = False,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws/voice/"
        self.origin = self.url.rstrip("/")
        self._unblock = unblock
        self._database = "" if embedded else servers.database_for("stack")
        own = ("INFERENCE_URLS", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "VOICE_TINY_TALK")
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in own},
            "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.dev",
            "VOICE_VAR_DIR": str(folder),
            "VOICE_PAGE_DEBUG": "1",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }
        if not embedded:
            # conversations with random models, whatever weights there are
            self.environment |= {"DATABASE_URL": self._database, "REDIS_URL": servers.redis.url, "VOICE_TINY_TALK": "1"}
        self._output = folder / "launch.out"
        self.process: subprocess.Popen[bytes] | None = None

    # -- up and down ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start and wait until the page and the inference server answer. RuntimeError with the logs otherwise."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shipped = ROOT / "ml" / "weights"
        if "VOICE_WEIGHTS_DIR" not in self.environment and not (shipped / "codec-hifi.safetensors").exists():
            self.environment["VOICE_WEIGHTS_DIR"] = str(make_tiny_weights(self.folder / "weights"))
        with self._output.open("ab") as sink:
            self.process = process = subprocess.Popen(
                [sys.executable, "manage.py", "launch"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=parent_death_signal(),
            )

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"launch ended with {process.returncode}\n{self.logs()}")
            return "Talk at" in self.output

        try:
            wait_until(ready, START_DEADLINE_S, "the product to be ready")
        except TimeoutError as error:
            raise RuntimeError(f"{error}\n{self.logs()}") from None

    def stop(self) -> int:
        """Stop as Ctrl-C does; the launcher's exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    # -- what happens inside --------------------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """What the launcher has printed so far."""
        return self._output.read_text(errors="replace")

    @property
    def operator_password(self) -> str:
        found = re.search(r"password: (\S+)", self.output)
        if found is None:
            raise RuntimeError("the launcher printed no password")
        return found.group(1)

    def pids(self) -> dict[str, int]:
        """Process ids of the children that run, by name: inference, worker, web."""
        try:
            status = json.loads((self.folder / "run" / "launch.json").read_text())
        except FileNotFoundError:
            return {}
        return {name: int(pid) for name, pid in status["children"].items()}

    def pid(self, name: str) -> int:
        return self.pids()[name]

    @property
    def inference_url(self) -> str:
        return str(json.loads((self.folder / "run" / "launch.json").read_text())["inference_url"])

    def kill(self, name: str, kind: signal.Signals = signal.SIGKILL) -> int:
        """Send ``kind`` to a child; its process id (for ``wait_back``)."""
        pid = self.pid(name)
        os.kill(pid, kind)
        return pid

    def ready(self) -> bool:
        """Whether page, database and inference server answer now."""
        from voiceplatform.launcher.probes import page_answers

        return page_answers(f"{self.url}readyz")

    def wait_back(self, name: str, old_pid: int, deadline_s: float = 60.0) -> float:
        """Wait until child ``name`` runs under another id than ``old_pid`` and everything answers. Seconds waited."""

        def back() -> bool:
            return self.pids().get(name, old_pid) != old_pid and self.ready()

        return wait_until(back, deadline_s, f"{name} to be back")

    def query(self, function: Callable[[], T]) -> T:
        """Run ORM code on the stack's database, in a thread and on a connection of its own."""
        from django.db import connections

        from voiceplatform.env import read_env

        result: list[T] = []
        failure: list[BaseException] = []
        ours = connections.settings["default"]
        found = read_env({"DATABASE_URL": self._database, "VOICE_VAR_DIR": str(self.folder)}).database
        settings = {**ours, **found}
        alike = ours["ENGINE"] == found["ENGINE"]
        options = ours["OPTIONS"] if alike else {"timeout": 30, "transaction_mode": "IMMEDIATE"}
        settings["OPTIONS"] = {k: v for k, v in options.items() if k != "pool"}

        def work() -> None:
            from django.db.utils import load_backend

            connection = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")
            connections["default"] = connection
            try:
                result.append(function())
            except BaseException as error:
                failure.append(error)
            finally:
                connection.close()

        with self._unblock():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        if failure:
            raise failure[0]
        return result[0]

    async def aquery(self, function: Callable[[], T]) -> T:
        """The same from a coroutine."""
        return await asyncio.to_thread(self.query, function)

    def manage(self, *arguments: str) -> str:
        """Output of ``manage.py ARGUMENTS`` in the stack's environment; CalledProcessError when it fails."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    def logs(self, lines: int = 40) -> str:
        """The last lines of every log of the stack, for a failure's report."""
        parts = []
        for path in [self._output, *sorted((self.folder / "log").glob("*.log"))]:
            if path.exists():
                tail = path.read_text(errors="replace").splitlines()[-lines:]
                parts.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(parts)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
