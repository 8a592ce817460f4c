"""The launcher's supervisor with real, small child processes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from voiceplatform.launcher.children import ChildSpec
from voiceplatform.launcher.supervisor import LaunchError, Supervisor

DEADLINE_S = 20.0
SERVE = "import pathlib, signal, sys; pathlib.Path(sys.argv[1]).write_text('up'); signal.pause()"


class Up:
    """A supervisor that is stopped at the end, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.supervisor = Supervisor(self.said.append, pause_s=0.02)

    def spec(self, name: str, code: str, grace_s: float = 5.0, relied_upon: bool = False) -> ChildSpec:
        flag, log = self.folder / f"{name}.up", self.folder / f"{name}.log"
        command = [sys.executable, "-c", code, str(flag)]
        return ChildSpec(name, f"{name} server", command, self.folder, log, flag.exists, {}, grace_s, relied_upon)

    def until(self, what: str) -> None:
        def happened() -> bool:
            self.supervisor.look()
            return any(what in line for line in self.said)

        wait_until(happened, DEADLINE_S, f"{what!r} in {self.said}")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.supervisor.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone_or_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return not alive(pid)


def test_a_killed_child_is_restarted_and_reported_back(up: Up) -> None:
    child = up.supervisor.start(up.spec("voice", SERVE))
    up.supervisor.wait_ready(child, DEADLINE_S)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    up.until("is back")
    assert child.running
    assert child.pid != first
    assert "was ended by SIGKILL" in up.said[0]
    assert "restarting it now" in up.said[0]


def test_one_that_keeps_dying_is_restarted_ever_more_slowly(up: Up) -> None:
    up.supervisor.start(up.spec("voice", "raise SystemExit('no device')"))
    up.until("restarting it in 1 s")
    announced = [line.rsplit("restarting it ", 1)[1] for line in up.said]
    assert announced == ["now", "in 0.5 s", "in 1 s"]
    assert all("no device" in line for line in up.said)


class Fate:
    """One small child under a supervisor whose clock stands until it is moved. ``answers``: whether it is ready."""

    def __init__(self, folder: Path, served_s: float) -> None:
        self.now, self.answers, self.said = 100.0, False, list[str]()
        self.supervisor = Supervisor(self.said.append, clock=lambda: self.now)
        command = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
        log = folder / "x.log"
        spec = ChildSpec("x", "x server", command, folder, log, lambda: self.answers, served_s=served_s)
        self.child = self.supervisor.start(spec)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.supervisor.look()

    def dies(self) -> str:
        """Kill it; what the supervisor says it does."""
        assert self.child.process is not None, "it is not running"
        self.child.process.kill()
        self.child.process.wait()
        self.answers = False
        self.supervisor.look()
        return self.said[-1].rsplit("restarting it ", 1)[1]

    def serves(self, seconds: float) -> None:
        """It answers, and goes on for so long."""
        self.answers = True
        self.passes(0.0)
        self.passes(seconds)


@pytest.fixture
def fate(tmp_path: Path) -> Iterator[Fate]:
    running = Fate(tmp_path, served_s=3.0)
    yield running
    running.supervisor.stop()


def test_one_that_served_is_started_again_at_once_however_often_it_is_killed(fate: Fate) -> None:
    for _ in range(9):
        fate.passes(20.0)  # loading
        fate.serves(3.0)
        assert fate.dies() == "now"
        assert fate.child.running
    assert sum("is back, 20.0 s" in line for line in fate.said) == 8


def test_a_crash_loop_is_slowed_to_a_modest_pause_and_forgotten_once_it_serves(fate: Fate) -> None:
    announced = []
    for answers in (True, False) * 4:  # dying soon after the first answer is a crash loop as well
        if answers:
            fate.serves(2.9)
        announced.append(fate.dies())
        if not fate.child.running:
            pause = float(announced[-1].removeprefix("in ").removesuffix(" s"))
            fate.passes(pause - 0.01)
            assert not fate.child.running
            fate.passes(0.02)
        assert fate.child.running
    assert announced == ["now", "in 0.5 s", "in 1 s", "in 2 s", *["in 5 s"] * 4]
    fate.serves(3.0)
    assert fate.dies() == "now"


def test_a_long_start_is_no_service(fate: Fate) -> None:
    assert fate.dies() == "now"
    fate.passes(600.0)  # loads, and never answers
    assert fate.dies() == "in 0.5 s"


def test_a_child_that_dies_before_it_answers_ends_the_launch_with_its_last_line(up: Up) -> None:
    child = up.supervisor.start(up.spec("voice", "import sys; print('cannot load', file=sys.stderr); sys.exit(3)"))
    with pytest.raises(LaunchError, match=r"voice server ended with status 3: cannot load \(log: .*voice.log\)"):
        up.supervisor.wait_ready(child, DEADLINE_S)


def test_a_configuration_error_of_a_child_is_repeated_as_it_stands(up: Up) -> None:
    code = "import sys; print('serve: weights w do not match; restore them', file=sys.stderr); sys.exit(2)"
    child = up.supervisor.start(up.spec("inference", code))
    with pytest.raises(LaunchError) as caught:
        up.supervisor.wait_ready(child, DEADLINE_S)
    assert str(caught.value) == "weights w do not match; restore them"


def test_the_one_that_others_rely_on_stops_last(up: Up) -> None:
    order = up.folder / "order"
    code = (
        "import pathlib, signal, sys\n"
        f"def leave(*_):\n    with open({str(order)!r}, 'a') as f: f.write(pathlib.Path(sys.argv[1]).stem + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n" + SERVE
    )
    for name in ("inference", "worker", "web"):
        spec = up.spec(name, code, relied_upon=name == "inference")
        up.supervisor.wait_ready(up.supervisor.start(spec), DEADLINE_S)
    up.supervisor.stop()
    assert sorted(order.read_text().split()[:2]) == ["web", "worker"]
    assert order.read_text().split()[2:] == ["inference"]


def test_nothing_of_a_stubborn_child_or_its_own_children_is_left(up: Up) -> None:
    pids = up.folder / "pids"
    code = (
        "import os, pathlib, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"pathlib.Path({str(pids)!r}).write_text(str(inner.pid))\n" + SERVE
    )
    child = up.supervisor.start(up.spec("worker", code, grace_s=0.2))
    up.supervisor.wait_ready(child, DEADLINE_S)
    leader, inner = child.pid, int(pids.read_text())
    assert leader is not None
    up.supervisor.stop()
    assert not alive(leader)
    wait_until(lambda: gone_or_zombie(inner), DEADLINE_S, "the grandchild to be gone")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_children_do_not_outlive_a_killed_launcher(tmp_path: Path) -> None:
    import subprocess

    launcher = (
        "import pathlib, sys\n"
        "from voiceplatform.launcher.children import Child, ChildSpec\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "spec = ChildSpec('c', 'c', [sys.executable, '-c', 'import signal; signal.pause()'], folder, folder / 'c.log',"
        " lambda: True)\n"
        "child = Child(spec); child.start(); print(child.pid, flush=True)\n"
        "import signal; signal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", launcher, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: gone_or_zombie(child), DEADLINE_S, "the child to end with its launcher")


def test_a_program_that_is_not_there_is_named(up: Up) -> None:
    spec = ChildSpec("x", "x server", ["/nowhere/python"], up.folder, up.folder / "x.log", lambda: True)
    with pytest.raises(LaunchError, match="/nowhere/python"):
        up.supervisor.start(spec)
