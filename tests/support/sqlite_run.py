"""The web side's tests once more, on SQLite: a process of its own, beside the rest of a long run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from voiceplatform.launcher.children import parent_death_signal

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ["tests/voice", "tests/speakers", "tests/training", "tests/voiceplatform"]
LIMIT_S = 1_200.0


class SqliteRun:
    """Started when first asked for, or before."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._process is not None:
            return
        only = ["-m", "django_db and not integration and not browser", "-p", "no:cacheprovider"]
        parts = [part for part in PARTS if list((ROOT / part).glob("test_*.py"))]
        environ = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "VOICE_VAR_DIR")}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (`stop` closes it)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *only, *parts],
            cwd=ROOT,
            env={**environ, "VOICE_TEST_DATABASE": "sqlite"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=parent_death_signal(),
        )

    def ended(self) -> tuple[int, str]:
        """Its exit status and output, waited for."""
        self.start()
        assert self._process is not None
        assert self._output is not None
        status = self._process.wait(LIMIT_S)
        self._output.seek(0)
        return status, self._output.read().decode(errors="replace")

    def stop(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._output is not None:
            self._output.close()
