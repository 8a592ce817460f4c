"""Runs one command for a job, as a program of its own: ``python runner.py RUN ATTEMPT NICENESS -- COMMAND…``.

It outlives the worker that started it. While it or its command lives, ``RUN/run.lock`` is locked (flock, inherited by
the command), so that no second one can start in the same folder, whatever became of the supervisor. How the command
ended is written to ``RUN/exit.json``. SIGTERM to the process group reaches the command, and is noted here.

Only the standard library is imported: this process waits for hours.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

HELD = 75
"""Exit status when somebody else runs in this folder (EX_TEMPFAIL)."""
LOCK_PATIENCE_S = 3.0


def main(arguments: list[str]) -> int:
    folder, attempt, niceness = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    command = arguments[4:]
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    lock = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                return HELD
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"pid": os.getpid(), "attempt": attempt}).encode(), 0)
    (folder / "exit.json").unlink(missing_ok=True)
    os.nice(niceness)
    with contextlib.suppress(OSError):
        # Where the kernel groups tasks by session, niceness counts within one only; this is the whole session's own.
        Path("/proc/self/autogroup").write_text(str(niceness))
    with (folder / "log.txt").open("ab") as log:
        log.write(f"--- attempt {attempt}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}\n".encode())
        log.flush()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,), close_fds=True
            )
            status = child.wait()
        except OSError as error:
            log.write(f"error: {command[0]} cannot be started: {error}\n".encode())
            status = 127
    ended = {"attempt": attempt, "status": status, "asked": bool(asked), "ended_at": time.time()}
    partial = folder / ".exit.partial"
    try:
        partial.write_text(json.dumps(ended))
        os.replace(partial, folder / "exit.json")
    except OSError:  # disk full: a supervisor that is our parent still has our own exit status
        pass
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
