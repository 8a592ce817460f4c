"""What must hold before anything is started; each failure is one line that says what to do."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from voiceplatform.launcher.supervisor import LaunchError

SOCKET_PATH_MAX = 100
"""Unix socket paths end at about 104 bytes on BSD and macOS, 108 on Linux."""


def check_port(host: str, port: int) -> None:
    """Raise LaunchError when ``host``:``port`` cannot be listened on."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise LaunchError(f"HOST={host} is no address of this machine ({error.strerror}); use HOST=127.0.0.1") from None
    family, kind, number, _, address = found[0]
    with socket.socket(family, kind, number) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for us
        try:
            attempt.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LaunchError(
                    f"port {port} on {host} is in use; stop what listens there or choose another: "
                    f"make run PORT={port + 1}"
                ) from None
            if error.errno == errno.EACCES:
                raise LaunchError(f"port {port} needs more rights than you have; choose one above 1023") from None
            raise LaunchError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another HOST or PORT"
            ) from None


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a run-time folder: two launchers would share one database writer, log and socket."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "launch.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            pid = handle.read().strip() or "unknown"
            raise LaunchError(
                f"already running here (process {pid}); stop that one, or set VOICE_VAR_DIR for a second one"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def check_weights(folder: Path) -> None:
    """Raise LaunchError when ``folder`` holds no codec weights; whether they are sound is for the server to say."""
    if not any(folder.glob("codec-*.safetensors")):
        raise LaunchError(f"no codec weights in {folder}; restore them (git checkout) or set VOICE_WEIGHTS_DIR")


def socket_path(folder: Path) -> Path:
    """Where the inference server's socket is to be: in ``folder``, or in the system's, when that path is too long."""
    path = folder / "inference.sock"
    if len(str(path).encode()) <= SOCKET_PATH_MAX:
        return path
    import hashlib
    import tempfile

    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"voice-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise LaunchError(f"{short} belongs to somebody else; remove it or move the project to a shorter path")
    return short / "inference.sock"
