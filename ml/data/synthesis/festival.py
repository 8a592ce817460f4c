"""The recorded Telugu diphone voice of Festival, driven as a waveform engine: phones, durations and F0 in, audio out.

Festival's own text front end is not used: it knows neither all of Unicode nor numbers, and its durations are flat. One
`festival --pipe` process serves the engine.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ml.data.synthesis.phones import NON_SPEECH
from ml.data.synthesis.types import SAMPLE_RATE, Audio, SynthesisError

VOICE = "telugu_NSK_diphone"
_TIMEOUT = 30.0
_UTTERANCES = 400
"""After so many the process is begun anew: Festival keeps about 0.6 MB of every utterance."""
_NAMES = {
    "i": "ih",
    "ii": "iy",
    "u": "uh",
    "uu": "uw",
    "e": "eh",
    "ai": "ay",
    "o": "oh",
    "au": "aw",
    "c": "ch",
    "t": "th",
    "d": "dh",
    "th": "tth",
    "dh": "ddh",
    "ng": "n",
    "ny": "n",
    "S": "sh",
}
_SPLIT = {"ch": ("ch", "h"), "jh": ("j", "h"), "Th": ("T", "h"), "Dh": ("D", "h")}
"""Aspirates without a recording of their own: the plain stop, then a third of the time /h/."""
_NEAREST = {
    "kh": "k",
    "gh": "g",
    "bh": "b",
    "tth": "th",
    "ddh": "dh",
    "N": "n",
    "L": "l",
    "f": "p",
    "sh": "s",
    "p": "b",
    "b": "p",
    "s": "th",
    "l": "r",
    "n": "m",
}
"""Where a diphone was not recorded, the neighbour that stands in."""


@dataclass(frozen=True)
class Segment:
    """One phone to be said: symbol of the inventory, seconds, and F0 targets as (seconds from its start, Hz)."""

    symbol: str
    duration: float
    targets: tuple[tuple[float, float], ...] = ()


@lru_cache(maxsize=1)
def _recorded(path: Path) -> frozenset[tuple[str, str]]:
    """The diphones in Festival's group file: its ASCII index follows the header."""
    pairs: set[tuple[str, str]] = set()
    with path.open("rb") as file:
        count = 0
        for raw in file:
            if raw.startswith(b"NumEntries"):
                count = int(raw.split()[1])
            if raw.startswith(b"EST_Header_End"):
                break
        for _ in range(count):
            left, _, right = file.readline().split()[0].decode("ascii").partition("-")
            pairs.add((left, right))
    return frozenset(pairs)


def installed() -> bool:
    """True where Festival and its Telugu voice are."""
    return shutil.which("festival") is not None and _group_file() is not None


def _group_file() -> Path | None:
    for root in (Path("/usr/share/festival"), Path("/usr/local/share/festival"), Path("/usr/lib/festival")):
        path = root / "voices" / "telugu" / VOICE / "group" / "NSKlpc.group"
        if path.is_file():
            return path
    return None


class Festival:
    """One living Festival process with the Telugu voice loaded."""

    def __init__(self) -> None:
        group = _group_file()
        if shutil.which("festival") is None or group is None:
            raise SynthesisError(
                "Festival's Telugu voice is missing: apt-get install festival festival-te festvox-te-nsk"
            )
        self._pairs = _recorded(group)
        self._folder = tempfile.TemporaryDirectory(
            prefix="festival-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
        )
        self._wave = Path(self._folder.name) / "wave.raw"
        self._count = 0
        self._pid = os.getpid()
        self._process = self._start()
        atexit.register(self.close)

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            ["festival", "--pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
        )
        self._spoken = 0
        self._ask(f"(voice_{VOICE})\n(Param.set 'Int_Method 'DuffInt)\n(set! duffint_params '((start 130) (end 110)))")
        return self._process

    def _stop(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                assert self._process.stdin is not None
                self._process.stdin.close()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdout is not None
            self._process.stdout.close()

    @property
    def process_id(self) -> int:
        """Of the program that speaks."""
        return self._process.pid

    def close(self) -> None:
        """End the process; a child after fork leaves the parent's alone."""
        if self._pid != os.getpid():
            return
        self._stop()
        self._folder.cleanup()

    def _ask(self, scheme: str) -> None:
        """Evaluate and wait for the answer: a count, so that a stale line cannot be taken for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._count += 1
        marker = f"done-{self._count}"
        try:
            self._process.stdin.write(f'{scheme}\n(begin (format t "{marker}\\n") (fflush nil))\n'.encode("ascii"))
            self._process.stdin.flush()
        except OSError as error:
            raise SynthesisError("Festival ended unexpectedly; run it by hand to see why") from error
        answer = b""
        until = time.monotonic() + _TIMEOUT
        while marker.encode() not in answer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise SynthesisError(f"Festival did not answer within {_TIMEOUT:.0f} s")
            piece = os.read(self._process.stdout.fileno(), 65_536)
            if not piece:
                raise SynthesisError(f"Festival refused: {scheme[:200]}")
            answer += piece

    def render(self, segments: Sequence[Segment]) -> Audio:
        """Say ``segments``; float32 at 16 kHz, as long as the sum of the durations (to a sample)."""
        if self._spoken >= _UTTERANCES:
            self._stop()
            self._process = self._start()
        self._spoken += 1
        units = self._units(segments)
        listed = " ".join(
            f"({name} {duration:.4f}{''.join(f' ({at:.4f} {f0:.1f})' for at, f0 in targets)})"
            for name, duration, targets in units
        )
        self._wave.unlink(missing_ok=True)
        self._ask(
            f'(begin (set! u (utt.synth (Utterance Segments ({listed})))) (utt.save.wave u "{self._wave}" \'raw) nil)'
        )
        try:
            samples = np.fromfile(self._wave, dtype="<i2")
        except OSError as error:
            raise SynthesisError(f"Festival made no sound for: {listed[:200]}") from error
        wanted = round(sum(s.duration for s in segments) * SAMPLE_RATE)
        audio = np.zeros(wanted, dtype=np.float32)
        usable = min(wanted, len(samples))
        audio[:usable] = samples[:usable].astype(np.float32) / 32768.0
        return audio

    def _units(self, segments: Sequence[Segment]) -> list[tuple[str, float, tuple[tuple[float, float], ...]]]:
        """Festival's names, with aspirates split and unrecorded neighbours replaced."""
        units: list[tuple[str, float, tuple[tuple[float, float], ...]]] = []
        for segment in segments:
            if segment.symbol in NON_SPEECH:
                units.append(("pau", segment.duration, segment.targets))
            elif segment.symbol in _SPLIT:
                stop, breath = _SPLIT[segment.symbol]
                cut = segment.duration * 0.67
                units.append((stop, cut, tuple(t for t in segment.targets if t[0] < cut)))
                late = tuple((at - cut, f0) for at, f0 in segment.targets if at >= cut)
                units.append((breath, segment.duration - cut, late))
            else:
                units.append((_NAMES.get(segment.symbol, segment.symbol), segment.duration, segment.targets))
        names = [unit[0] for unit in units]
        for at in range(len(names) - 1):
            names[at], names[at + 1] = self._joinable(names[at], names[at + 1])
        for at in range(len(names) - 2, -1, -1):  # the pass above may have changed a right neighbour
            names[at], names[at + 1] = self._joinable(names[at], names[at + 1])
        return [(name, duration, targets) for name, (_, duration, targets) in zip(names, units, strict=True)]

    def _joinable(self, left: str, right: str) -> tuple[str, str]:
        for a, b in (
            (left, right),
            (_NEAREST.get(left, left), right),
            (left, _NEAREST.get(right, right)),
            (_NEAREST.get(left, left), _NEAREST.get(right, right)),
        ):
            if (a, b) in self._pairs:
                return a, b
        return left, right


@lru_cache(maxsize=1)
def _engine(pid: int) -> Festival:
    return Festival()


def engine() -> Festival:
    """The process's one Festival (a forked child gets its own)."""
    return _engine(os.getpid())
