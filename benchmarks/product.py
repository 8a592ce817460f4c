"""The product as ``make run`` serves it, in a throw-away folder, for as long as a measurement takes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 240.0


@dataclass(frozen=True)
class Product:
    """``ready_s`` is the time from the start of the launcher to its "ready", on a fresh database."""

    ws_url: str
    origin: str
    ready_s: float
    pids: dict[str, int]
    inference_url: str = ""
    output: str = ""
    """What the launcher said, the operator's password among it."""
    status: Path = Path()
    """The launcher's status file."""

    def children(self) -> dict[str, int]:
        """Process ids as they are now: a child that died has been started anew under another."""
        try:
            return dict(json.loads(self.status.read_text())["children"])
        except (OSError, ValueError, KeyError):
            return self.pids

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of each child in MB (Linux; empty elsewhere)."""
        sizes = {}
        for name, pid in self.pids.items():
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                sizes[name] = round(int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024, 1)
        return sizes


@contextlib.contextmanager
def running_product() -> Iterator[Product]:
    """Start it on a free port and stop it afterwards. RuntimeError with the launcher's words when it does not start."""
    port = free_port()
    drop = ("DATABASE_URL", "REDIS_URL", "INFERENCE_URLS", "DJANGO_SETTINGS_MODULE")
    with tempfile.TemporaryDirectory(prefix="voice-bench-") as folder:
        environ = {key: value for key, value in os.environ.items() if key not in drop}
        environ |= {"VOICE_VAR_DIR": folder, "HOST": "127.0.0.1", "PORT": str(port)}
        began = time.monotonic()
        command = [sys.executable, "manage.py", "launch"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("Talk at"):
                    break
                if time.monotonic() - began > DEADLINE_S:
                    raise RuntimeError("the product did not come up:\n" + "".join(said))
            else:
                raise RuntimeError("the product did not start:\n" + "".join(said))
            ready_s = time.monotonic() - began
            path = Path(folder) / "run" / "launch.json"
            status = json.loads(path.read_text())
            origin = f"http://127.0.0.1:{port}"
            ws_url = f"ws://127.0.0.1:{port}/ws/voice/"
            yield Product(ws_url, origin, ready_s, status["children"], status["inference_url"], "".join(said), path)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
