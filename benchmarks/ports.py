"""Ports for servers that a benchmark or a test starts."""

from __future__ import annotations

import atexit
import socket
import sys

_held: list[socket.socket] = []
"""Bound to the ports that were drawn, until the process ends."""


def free_port() -> int:
    """A TCP port on the loopback interface for a server that is about to be started, and for nobody else.

    A port that is let go before its server takes it may meanwhile be drawn by another run, or be the near end of
    anybody's connection. So it stays bound here: the kernel gives it to nobody, while a server, which asks for it by
    its number with SO_REUSEADDR as they all do, may listen on it, as often as it is restarted. Elsewhere than on Linux
    a bound port cannot be had twice, and it is let go.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port = int(holder.getsockname()[1])
    if sys.platform.startswith("linux"):
        if not _held:
            atexit.register(_let_go)
        _held.append(holder)
    else:
        holder.close()
    return port


def _let_go() -> None:
    for holder in _held:
        holder.close()
    _held.clear()
