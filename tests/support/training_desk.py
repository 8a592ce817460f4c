"""Training on a running stack, as an operator and as whoever pulls plugs: by REST, by signals, by restarts."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.support.stack import ROOT, Stack
from tests.support.waiting import wait_until

PATIENCE_S = 120.0
SETTINGS: dict[str, Any] = {
    "codec.codebook_size": 64,
    "quantize_from": 10,
    "save_every_seconds": 0.5,
    "validate_every": 60,
}
"""The tiny recipe with small codebooks (k-means takes most of its time) and checkpoints all the time."""


def speechlike(path: Path, pitch: float, seconds: float = 1.2) -> Path:
    """A voice-like tone with a changing pitch and an envelope; 16 kHz."""
    time = np.arange(round(16_000 * seconds)) / 16_000
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))) / 16_000
    wave = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.2 + np.abs(np.sin(2 * np.pi * 2 * time)))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.12 * wave, 16_000)
    return path


def trainers_of(run: Path) -> list[int]:
    """Processes that train in this folder now. Neither the runner around them counts, nor what a trainer forks (between
    fork and exec a child still has its parent's command line)."""
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            parent = int((entry.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"ml" in words and b"train" in words and str(run).encode() in words and b"--" not in words:
            found[int(entry.parent.name)] = parent
    return [pid for pid, parent in found.items() if parent not in found]


def children_of(pid: int) -> list[int]:
    """Processes that `pid` has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_there(pid: int) -> bool:
    """Whether the process runs still (one that is dead and not yet buried does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def losses(run: Path) -> dict[int, float]:
    """Loss by step, of steps that were done again the last."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
    return {row["step"]: row["loss"] for row in rows}


class Desk:
    """A stack, seen by an operator with a token. ``patience_s``: how long it waits for anything; a trainer has the
    lowest priority, and on a busy machine takes minutes to its first step."""

    def __init__(self, stack: Stack, patience_s: float = PATIENCE_S) -> None:
        self.stack = stack
        self.patience_s = patience_s
        self.token = stack.query(self._make_token)

    @staticmethod
    def _make_token() -> str:
        from django.contrib.auth.models import User
        from django.utils import timezone

        from apps.accounts.services import token_create

        user = User.objects.create_superuser(f"desk-{secrets.token_hex(3)}", password=secrets.token_hex(8))
        expires_at = timezone.now() + timedelta(days=1)
        _row, secret = token_create(user=user, name="desk", scopes=["read", "train"], expires_at=expires_at)
        return secret

    def call(self, method: str, path: str, body: Any = None, *, again: bool = True) -> Any:
        """A request to the API; its JSON answer. RuntimeError with the problem's words.

        A server error (its database was just restarted) is tried once more when the page says that it is ready.
        """
        request = urllib.request.Request(
            f"{self.stack.url}api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.patience_s) as answer:
                content = answer.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            if error.code >= 500 and again:
                wait_until(self.stack.ready, self.patience_s, "the product to be ready again")
                return self.call(method, path, body, again=False)
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None

    # -- data and jobs ----------------------------------------------------------------------------------------

    def ready_dataset(self, clips: int = 4) -> str:
        """The id of a dataset with some voice-like clips, ingested."""
        dataset_id = uuid.uuid4()
        folder = self.stack.folder / "training" / "datasets" / str(dataset_id)
        for number in range(clips):
            speechlike(folder / "audio" / f"{number}.flac", 110 * 2 ** (number / clips))

        def store() -> None:
            from apps.training.models import Dataset

            Dataset.objects.create(id=dataset_id, name="Tones", status="ready", clips=clips, seconds=1.2 * clips)

        self.stack.query(store)
        return str(dataset_id)

    def train(self, dataset: str, **settings: Any) -> str:
        """Start a tiny codec training; the job's id."""
        body = {"kind": "train_codec", "recipe": "tiny", "datasets": [dataset], "settings": SETTINGS | settings}
        return str(self.call("POST", "jobs", {"name": "tiny", **body})["id"])

    def run_folder(self, job: str) -> Path:
        return self.stack.folder / "training" / "jobs" / job

    def row(self, job: str) -> Any:
        """The job's row."""

        def read() -> Any:
            from apps.training.models import Job

            return Job.objects.get(pk=job)

        return self.stack.query(read)

    def wait_for(self, job: str, ready: Callable[[Any], bool], what: str) -> Any:
        """Wait until the row is as wished; the run is never doubled meanwhile."""
        last: list[Any] = []

        def looked() -> bool:
            try:
                row = self.row(job)
            except Exception:  # the database is away for a moment
                return False
            last[:] = [row]
            assert len(trainers_of(self.run_folder(job))) <= 1, "two trainers in one folder"
            return ready(row)

        try:
            wait_until(looked, self.patience_s, what, every_s=0.2)
        except TimeoutError as error:
            about = f"{last[0].status} at step {last[0].step}, {last[0].message}" if last else "no row"
            log = self.run_folder(job) / "log.txt"
            tail = log.read_text()[-1500:] if log.exists() else "no log"
            raise AssertionError(f"{error}: {about}\n{tail}\n{self.stack.logs(15)}") from None
        return last[0]

    def wait_further(self, job: str, steps: int = 20) -> Any:
        """Wait until it runs and has gone on by that many steps from where it is now."""
        reached = self.row(job).step
        return self.wait_for(
            job, lambda row: row.status == "running" and row.step >= reached + steps, f"{steps} steps after {reached}"
        )

    # -- plugs to pull ----------------------------------------------------------------------------------------

    def kill_trainer(self, job: str) -> None:
        """SIGKILL to the training process; then its successor must have started and got further."""
        before = self.row(job)
        [pid] = trainers_of(self.run_folder(job))
        os.kill(pid, signal.SIGKILL)
        self.wait_for(job, lambda row: row.attempt > before.attempt and row.status == "running", "another attempt")
        self.wait_further(job)

    def kill_worker(self, job: str) -> None:
        """SIGKILL to the Celery worker; then another supervisor must have found the same process."""
        before = self.row(job)
        [trainer] = trainers_of(self.run_folder(job))
        old = self.stack.kill("worker")
        self.stack.wait_back("worker", old, self.patience_s)
        row = self.wait_for(
            job, lambda row: row.worker != before.worker and row.status == "running", "to be adopted by another worker"
        )
        assert trainers_of(self.run_folder(job)) == [trainer]
        assert (row.pid, row.attempt) == (before.pid, before.attempt)
        self.wait_further(job)

    def restart_redis(self, job: str, servers: Any) -> None:
        """Redis is killed, with all messages, and comes back; the run must not have noticed."""
        before = self.row(job)
        servers.redis.stop(signal.SIGKILL)
        servers.redis.start()
        row = self.wait_further(job)
        assert (row.pid, row.attempt, row.worker) == (before.pid, before.attempt, before.worker)

    def restart_postgres(self, job: str, servers: Any) -> None:
        """Postgres is killed (crash recovery at its start); the process goes on meanwhile, the row follows after."""
        before = self.row(job)
        backends = children_of(servers.postgres.process.pid)
        servers.postgres.stop(signal.SIGKILL)
        # they see that it is gone, and leave by themselves; before that no other may start on their memory
        wait_until(lambda: not any(map(is_there, backends)), self.patience_s, "its backends to leave")
        servers.postgres.start()
        row = self.wait_further(job)
        assert (row.pid, row.attempt) == (before.pid, before.attempt)

    def unbroken(self, job: str, folder: Path, steps: int) -> dict[int, float]:
        """The same command in another folder, undisturbed, until it has done that many steps; its losses."""
        run = self.run_folder(job)
        [dataset] = self.call("GET", f"jobs/{job}")["datasets"]
        data = self.stack.folder / "training" / "datasets" / str(dataset) / "audio"
        threads = max(1, (os.cpu_count() or 2) - 1)
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "ml",
            "train",
            "codec",
            "--data",
            str(data),
            "--run",
            str(folder),
        ]
        command += ["--config", str(run / "wanted.json"), "--device", "cpu", "--threads", str(threads)]
        with (folder.parent / "unbroken.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--cache", str(folder.parent / "cache")], cwd=ROOT, stdout=log, stderr=log
            )
        try:
            metrics = folder / "metrics.jsonl"
            wait_until(
                lambda: metrics.exists() and max(losses(folder), default=0) >= steps,
                self.patience_s,
                "the unbroken run",
            )
        finally:
            process.terminate()
            process.wait(60)
        return losses(folder)
