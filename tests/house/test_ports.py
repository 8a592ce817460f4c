"""Ports that tests draw for their servers belong to one run only."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

import pytest

from benchmarks.ports import free_port
from tests.support.servers import accepts
from tests.support.stack import ROOT
from voiceplatform.launcher.preflight import check_port

DRAWN = 150
DRAW = f"""
import sys
from benchmarks.ports import free_port
print(*(free_port() for _ in range({DRAWN})), flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ports are held on Linux only")


def test_runs_that_draw_at_the_same_time_never_draw_the_same_port() -> None:
    """Each holds what it drew until its input ends."""
    with contextlib.ExitStack() as stack:
        runs = []
        for _ in range(3):
            command = [sys.executable, "-c", DRAW]
            run = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            runs.append(stack.enter_context(run))
        drawn = [port for run in runs if run.stdout for port in run.stdout.readline().split()]
    assert len(drawn) == len(set(drawn)) == len(runs) * DRAWN


def test_a_drawn_port_is_its_servers_alone_and_stays_so_over_a_restart() -> None:
    port = free_port()
    for _ in range(2):
        assert not accepts(port)
        check_port("127.0.0.1", port)
        with socket.create_server(("127.0.0.1", port)):  # with SO_REUSEADDR, as servers do
            assert accepts(port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
