"""Starts children, waits until they answer, restarts the one that dies, stops them in order."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from voiceplatform.launcher.children import Child, ChildSpec

BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Pauses of a crash loop. The longest is modest, since people wait and a start takes seconds of its own anyway."""
CONFIGURATION_ERROR = 2
"""Exit status of a child that printed one line on what to do about its configuration, weights or address."""


class LaunchError(Exception):
    """The product cannot be started or kept up; the message is one line that says what and what to do."""


@dataclass
class _Watched:
    child: Child
    failures: int = 0
    """Deaths one after another before it had served."""
    restarted: bool = False
    started: float = 0.0
    restart_at: float | None = None
    answering_since: float | None = None


class Supervisor:
    """Children that are started, watched and stopped together.

    ``say`` gets one line per event. Everything runs in the caller's thread; ``wake`` (set by a SIGCHLD handler)
    shortens the pause between two looks. One that dies after it has served is started again at once; one that dies
    before, ever more slowly.
    """

    def __init__(
        self, say: Callable[[str], None], pause_s: float = 0.25, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._pause_s = pause_s
        self._clock = clock
        self._watched: list[_Watched] = []
        self.wake = threading.Event()
        self.changed: Callable[[], None] = lambda: None

    @property
    def children(self) -> dict[str, Child]:
        return {item.child.spec.name: item.child for item in self._watched}

    def start(self, spec: ChildSpec) -> Child:
        """Start one more child; it is watched from here on. Raises LaunchError when it cannot be executed."""
        item = _Watched(Child(spec))
        self._watched.append(item)
        self._execute(item)
        return item.child

    def _execute(self, item: _Watched) -> None:
        try:
            item.child.start()
        except OSError as error:
            spec = item.child.spec
            what = f"cannot start the {spec.label}: {error.strerror}: {spec.command[0]}"
            raise LaunchError(f"{what}; run: make setup") from error
        item.started, item.answering_since = self._clock(), None
        self.changed()

    def wait_ready(self, child: Child, deadline_s: float) -> float:
        """Wait until ``child`` answers. Seconds since its start.

        Raises:
            LaunchError: it ended, another child ended meanwhile, or the deadline passed.
        """
        awaited = self._item(child)
        while True:
            for item in self._watched:
                if not item.child.running:
                    raise LaunchError(self.obituary(item.child))
            if child.spec.ready():
                awaited.answering_since = self._clock()
                return awaited.answering_since - awaited.started
            if self._clock() - awaited.started > deadline_s:
                raise LaunchError(
                    f"the {child.spec.label} did not answer within {deadline_s:.0f} s; look into {child.spec.log}"
                )
            self._rest(0.1)

    def obituary(self, child: Child) -> str:
        """Why ``child`` ended, as well as its own last line tells."""
        if (child.exit_status or 0) < 0:  # killed from outside: its last words have nothing to do with it
            return f"the {child.spec.label} {child.how_it_ended()}"
        last = (child.tail(1) or ["it said nothing"])[0]
        if child.exit_status == CONFIGURATION_ERROR:
            return last.removeprefix("serve: ").removeprefix("error: ")
        return f"the {child.spec.label} {child.how_it_ended()}: {last} (log: {child.spec.log})"

    def watch(self) -> None:
        """Keep the children running until an exception (KeyboardInterrupt by a signal handler) ends it."""
        while True:
            self.look()
            self._rest(self._pause_s)

    def look(self) -> None:
        """One round: notice the dead, restart those whose time has come, notice those that answer again."""
        now = self._clock()
        for item in self._watched:
            label = item.child.spec.label
            if item.restart_at is not None:
                if now >= item.restart_at:
                    item.restart_at = None
                    self._execute(item)
            elif not item.child.running:
                self._bury(item, now)
            elif item.answering_since is None and item.child.spec.ready():
                item.answering_since = now
                if item.restarted:
                    self._say(f"{label} is back, {now - item.started:.1f} s after its restart")

    def _bury(self, item: _Watched, now: float) -> None:
        item.child.kill_group()
        if item.answering_since is not None and now - item.answering_since >= item.child.spec.served_s:
            item.failures = 0
        delay = BACKOFF_S[min(item.failures, len(BACKOFF_S) - 1)]
        item.failures += 1
        item.restarted = True
        item.restart_at = now + delay
        when = f"in {delay:g} s" if delay else "now"
        self._say(f"{self.obituary(item.child)}; restarting it {when}")
        if not delay:
            item.restart_at = None
            self._execute(item)

    def stop(self) -> None:
        """End all children; those that others rely on, last. A second Ctrl-C ends them at once."""
        relied_upon = [item.child for item in self._watched if item.child.spec.relied_upon]
        others = [item.child for item in self._watched if not item.child.spec.relied_upon]
        try:
            for children in (others, relied_upon):
                for child in children:
                    child.terminate()
                for child in children:
                    child.finish(child.spec.grace_s)
        except KeyboardInterrupt:
            self._say("ending everything at once")
        finally:
            for item in self._watched:
                item.child.kill_group()
        self._watched.clear()
        self.changed()

    def _item(self, child: Child) -> _Watched:
        return next(item for item in self._watched if item.child is child)

    def _rest(self, seconds: float) -> None:
        if self.wake.wait(seconds):
            self.wake.clear()
