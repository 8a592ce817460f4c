"""The shipped models behind a web process, on the stack's database: for clients that are to hear right answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.ports import free_port
from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_until
from voiceplatform.launcher.children import parent_death_signal
from voiceplatform.launcher.probes import page_answers

START_S = 120.0


class SpokenServer:
    """``url`` is what a client of the OpenAI protocol is given as its base; ``slots`` sessions find room."""

    def __init__(self, stack: Stack, folder: Path, *, slots: int = 2) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.ws_url = f"ws://127.0.0.1:{self.port}/v1/realtime?model=telugu-voice"
        self._folder = folder
        self._slots = slots
        self._socket = folder / "inference.sock"
        everything = {**stack.environment, "INFERENCE_URLS": f"unix://{self._socket}"}
        self._environment = {key: value for key, value in everything.items() if key != "VOICE_TINY_TALK"}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Both processes; waits until they answer. RuntimeError with their words otherwise."""
        arguments = ["ml", "serve", "--listen", f"unix://{self._socket}", "--slots", str(self._slots)]
        self._spawn("inference", *arguments)
        self.start_web()
        self._wait("inference", self._socket.exists)

    def start_web(self) -> None:
        """The web process, on the port that it always has."""
        self._spawn("web", "voiceplatform.web", "--port", str(self.port))
        self._wait("web", lambda: page_answers(f"http://127.0.0.1:{self.port}/healthz"))

    def kill_web(self) -> None:
        """Without a chance to say good-bye."""
        self._processes["web"].kill()
        self._processes["web"].wait()

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _spawn(self, name: str, module: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as sink:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, *arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                preexec_fn=parent_death_signal(),
            )

    def _wait(self, name: str, ready: object) -> None:
        def there() -> bool:
            if self._processes[name].poll() is not None:
                raise RuntimeError(f"{name} ended\n{(self._folder / f'{name}.log').read_text(errors='replace')}")
            return bool(ready())  # type: ignore[operator]

        wait_until(there, START_S, f"{name} to be ready")
