"""Who yields on a busy machine: the inference server's tick is due every 40 ms, nothing else is."""

import contextlib
import os
from pathlib import Path


def give_way(niceness: int) -> None:
    """Make this process, and those that it starts from now on, nicer by `niceness` (0 to 19; 0 changes nothing)."""
    if niceness <= 0:
        return
    os.nice(niceness)
    with contextlib.suppress(OSError, ValueError):
        # Where Linux groups tasks by session, niceness counts within a session only: its group has to give way as well.
        group = int(Path("/proc/self/autogroup").read_text().split()[-1])
        Path("/proc/self/autogroup").write_text(str(min(19, group + niceness)))
