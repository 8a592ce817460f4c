"""Why a run ended, in words for people, from its exit status and the end of its log."""

from __future__ import annotations

import errno
import re
import signal
from pathlib import Path

from django.utils.translation import gettext as _

CONFIGURATION_ERROR = 2
"""Exit status of ``python -m ml`` after one line ``error: …`` that says what to do."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CHILD_KILLED = re.compile(r"Root Cause[^=]*exitcode : -(\d+) \(pid")
"""In torchrun's report. Processes that it stopped itself, because another had failed, are listed before that."""


def tail(path: Path, lines: int = 200, block: int = 64_000) -> list[str]:
    """The last lines of a log as people read it: of a progress line that rewrites itself, the last state."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - block))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    shown = (_ANSI.sub("", line).rstrip().rpartition("\r")[2] for line in text.split("\n"))
    return [line for line in shown if line.strip()][-lines:]


def words_for(status: int | None, log: Path) -> tuple[str, str]:
    """Message and advice for a run that ended by itself with that exit status."""
    lines = _last_attempt(tail(log, 120))  # torchrun says where it failed at length
    last = lines[-1] if lines else ""
    everything = " ".join(" ".join(lines).split())  # a traceback is wrapped anywhere
    if "No space left on device" in everything or "Errno 28" in everything:
        return _("the disk is full"), _("free some space, then resume: it goes on from its last checkpoint")
    if "out of memory" in everything.lower() or "MemoryError" in everything:
        return _("the memory is used up: %(line)s") % {"line": last}, _("choose a smaller batch, or another device")
    killed = _CHILD_KILLED.search(everything)  # torchrun, which then ends with 1
    if killed or (status is not None and status < 0):
        number = int(killed.group(1)) if killed else -(status or 0)
        return _("it was ended by %(signal)s") % {"signal": _signal_name(number)}, _("resume it")
    if status == CONFIGURATION_ERROR or f"exitcode : {CONFIGURATION_ERROR} " in everything:  # torchrun ends with 1
        found = next((line for line in reversed(lines) if line.startswith("error: ")), last)
        return found.removeprefix("error: "), _("clone the job and change what the message names")
    if status == 127:
        return last.removeprefix("error: "), _("run: make setup")
    return (last or _("it said nothing")), _("look at the log; clone the job and change what it names, or resume it")


def _last_attempt(lines: list[str]) -> list[str]:
    """What the last start said: what ailed an earlier one may be mended. The runner writes a line before each."""
    began = (place for place in reversed(range(len(lines))) if lines[place].startswith("--- attempt "))
    return lines[next(began, -1) + 1 :]


def words_for_os(error: OSError) -> tuple[str, str]:
    """Message and advice for what the system refused to the supervisor."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _("the disk is full"), _("free some space, then resume it")
    return str(error), _("free some space or repair the folder, then resume it")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
