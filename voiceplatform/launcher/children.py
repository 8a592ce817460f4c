"""One child process: its own process group, its log, and no way to outlive the launcher."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

LOG_LIMIT_BYTES = 5_000_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ChildSpec:
    """What to start. ``label`` is the word for people, ``ready`` tells whether it answers, ``grace_s`` is how long
    it may take to end by itself after SIGTERM; one that is ``relied_upon`` is stopped after the others have ended. One
    that dies ``served_s`` or more after it first answered has served: that is no crash loop."""

    name: str
    label: str
    command: list[str]
    cwd: Path
    log: Path
    ready: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    grace_s: float = 10.0
    relied_upon: bool = False
    served_s: float = 3.0


def parent_death_signal() -> Callable[[], None] | None:
    """For Linux: have the kernel send SIGTERM to the child when the launcher dies without stopping it (kill -9)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    launcher = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != launcher:  # it died between fork and prctl
            os._exit(1)

    return in_child


class Child:
    """A running (or ended) process of a :class:`ChildSpec`."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start it; its output goes to the end of its log. Raises OSError when the program cannot be executed."""
        log = self.spec.log
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            os.replace(log, log.with_suffix(".log.1"))
        with log.open("ab") as sink:
            self._log_start = sink.tell()
            self.process = subprocess.Popen(
                self.spec.command,
                cwd=self.spec.cwd,
                env={**os.environ, **self.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # Ctrl-C in the terminal reaches the launcher only, which stops in order
                preexec_fn=parent_death_signal(),  # (the launcher is single-threaded)
            )

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_status(self) -> int | None:
        return self.process.poll() if self.process else None

    def how_it_ended(self) -> str:
        status = self.exit_status
        if status is None:
            return "is running"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def tail(self, lines: int) -> list[str]:
        """The last lines that this start wrote, empty ones left out."""
        try:
            with self.spec.log.open("rb") as source:
                source.seek(self._log_start)
                text = source.read()[-64_000:].decode(errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]

    def terminate(self) -> None:
        if self.running and self.process:
            self.process.terminate()

    def finish(self, timeout_s: float) -> None:
        """Wait for the end, at most ``timeout_s``; whatever is then left of its process group is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill_group()

    def kill_group(self) -> None:
        """Kill what its process group still holds (a Celery pool outlives its killed master) and reap the leader."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody left (macOS says: not permitted)
            pass
        self.process.wait()
