"""Which thread goes first where there are more of them than cores."""

from __future__ import annotations

import contextlib
import os
import threading


def set_niceness(niceness: int) -> None:
    """This thread's, where the system lets it (below 0: root, or a limit that allows it); threads that it starts have
    the same. Linux has one for each thread; nothing happens where there is no such thing.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def give_way() -> None:
    """This thread's is that of the process's first one, whoever started it."""
    with contextlib.suppress(AttributeError, OSError):
        set_niceness(os.getpriority(os.PRIO_PROCESS, os.getpid()))
