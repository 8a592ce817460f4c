"""A run's process group, seen from outside: is it there, how did it end, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.training.supervisor import runner
from voiceplatform.env import BASE_DIR

_started: set[subprocess.Popen[bytes]] = set()
"""Runners whose end nobody has seen: one that was let go becomes a zombie of ours, buried at the next start."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended: its exit status (negative: by that signal; None: nobody could write it down), and whether
    it had been asked to stop."""

    status: int | None
    asked: bool


class RunProcess:
    """The process of one run folder: started by this object, or by a supervisor that is gone (then adopted)."""

    def __init__(self, folder: Path, pid: int, attempt: int, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self.pid = pid
        self.attempt = attempt
        self._popen = popen

    @classmethod
    def start(cls, folder: Path, attempt: int, arguments: list[str]) -> RunProcess:
        """Start ``python ARGUMENTS`` in its own session; on shared cores the people who talk come first (by default
        it has the lowest priority). Raises OSError."""
        niceness = str(settings.VOICE_JOB_NICENESS)
        command = [sys.executable, "-I", str(Path(runner.__file__)), str(folder), str(attempt), niceness, "--"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "160"}
        popen = subprocess.Popen(
            [*command, sys.executable, *arguments],
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _started.add(popen)
        _started.difference_update([old for old in _started if old.poll() is not None])
        return cls(folder, popen.pid, attempt, popen)

    @classmethod
    def find(cls, folder: Path) -> RunProcess | None:
        """The process that runs in `folder` now, else None. The lock tells, so that a reused process id cannot lie."""
        if not is_locked(folder):
            return None
        try:
            held = json.loads((folder / "run.lock").read_text())
            return cls(folder, int(held["pid"]), int(held["attempt"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def alive(self) -> bool:
        """Whether the runner or its command still runs."""
        if self._popen is not None and self._popen.poll() is None:
            return True
        return is_locked(self.folder)

    def ending(self) -> Ending:
        """How it ended, once it is no longer alive."""
        if (written := read_ending(self.folder, self.attempt)) is not None:
            return written
        status = self._popen.poll() if self._popen is not None else None
        if status == runner.HELD or status is None or status < 0:
            return Ending(None, asked=False)
        return Ending(status if status < 128 else 128 - status, asked=False)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; a group that is gone is fine."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def is_locked(folder: Path) -> bool:
    """Whether a run's process holds the folder."""
    try:
        with (folder / "run.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_ending(folder: Path, attempt: int) -> Ending | None:
    """What the runner wrote about the end of that attempt, None when it wrote nothing."""
    try:
        ended = json.loads((folder / "exit.json").read_text())
        if int(ended["attempt"]) != attempt:
            return None
        return Ending(int(ended["status"]), bool(ended["asked"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_ending(folder: Path) -> None:
    """The ending has been acted upon: a later start must not read it again."""
    with contextlib.suppress(OSError):
        (folder / "exit.json").unlink(missing_ok=True)
