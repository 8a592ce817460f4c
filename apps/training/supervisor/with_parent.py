"""Runs a command that ends with its parent: ``python with_parent.py ARGUMENTS…`` becomes ``python ARGUMENTS…``.

torchrun puts each of its processes into a session of its own and hands no lock on. Were it killed, they would train on
where no signal to the run's group reaches them, beside the ones that are started next. So the kernel kills them too.
Only the standard library is imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_INIT = 1


def main(arguments: list[str]) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() == _INIT:  # it died before that
            raise SystemExit(1)
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
