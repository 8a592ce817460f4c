"""Listening sockets: bound before the server says it is ready, private, and never stolen from a live server."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ml.serve.wire import Address

_BACKLOG = 64


class ListenError(RuntimeError):
    """An address cannot be listened on; the message says why and what to do."""


@dataclass(slots=True)
class Listener:
    """A bound socket that does not listen yet: whoever connects is refused until `start`."""

    sock: socket.socket
    path: Path | None = None
    lock: IO[str] | None = None
    """Locked file beside a unix socket; the kernel lets go of it when the process dies, however it dies."""

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose for port 0."""
        name = self.sock.getsockname()
        return Address(path=name) if isinstance(name, str) else Address(host=name[0], port=name[1])

    def start(self) -> None:
        """Let clients connect. Raises ListenError."""
        try:
            self.sock.listen(_BACKLOG)
        except OSError as exc:
            raise _refused(self.address, exc) from exc

    def close(self) -> None:
        """Close, and remove the file of a unix socket."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.sock.close()
        if self.lock is not None:
            self.lock.close()


def bind(address: Address) -> Listener:
    """A bound, non-blocking socket at ``address``. Raises ListenError.

    The file of a unix socket gets mode 0600 from the start. One that a dead server left is replaced, one of a
    server that lives is refused.
    """
    try:
        if address.path is not None:
            return _bind_unix(Path(address.path))
        return _bind_tcp(str(address.host), int(address.port or 0))
    except OSError as exc:
        raise _refused(address, exc) from exc


def _refused(address: Address, exc: OSError) -> ListenError:
    hint = "stop what listens there or choose another address" if exc.errno == errno.EADDRINUSE else "choose another"
    return ListenError(f"cannot listen on {address}: {exc.strerror or exc}; {hint}")


def _bind_unix(path: Path) -> Listener:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock").open("w")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _alive(path) from None
        _remove_stale(path)
        sock.bind(str(path))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        lock.close()
        raise
    finally:
        os.umask(before)
    return Listener(sock, path, lock)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} exists and is no socket; remove it or choose another address")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
        attempt.setblocking(False)
        try:
            attempt.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody lives there
    raise _alive(path)


def _alive(path: Path) -> ListenError:
    return ListenError(f"another server lives on {path}; stop it or choose another address")


def _bind_tcp(host: str, port: int) -> Listener:
    family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit these: a peer whose machine has gone gives its slot back after some 15 s.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        sock.bind(where)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return Listener(sock)
