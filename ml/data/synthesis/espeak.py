"""espeak-ng's Telugu rules with its voice variants: a second kind of engine, for more kinds of strangers.

It is given our own phones (between ``[[ ]]``), so that labels agree with the other engines, and tells by events when
each one starts.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ml.data.synthesis.g2p import Sentence, Word
from ml.data.synthesis.phones import SILENCE, TimedPhone, is_vowel
from ml.data.synthesis.types import Audio, SynthesisError

VARIANTS: tuple[str, ...] = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "Alex", "Alicia", "Andrea", "Annie"),
    *("Denis", "Diogo", "Gene", "Henrique", "Hugo", "Lee", "Marco", "Michael", "anika", "antonio", "aunty", "belinda"),
    *("benjamin", "boris", "david", "edward", "iven", "iven2", "iven3", "john", "linda", "max", "miguel", "pablo"),
    *("paul", "pedro", "robert", "shelby", "steph", "travis", "victor"),
)
"""Variants that sound like people; no whispers, robots or demons. A missing one falls back to the plain voice."""
_NAMES = {
    **dict(zip(["aa", "ii", "uu", "ee", "oo", "ai", "au"], ["a:", "i:", "u:", "e:", "o:", "aI", "aU"], strict=True)),
    **dict(zip(["kh", "gh", "ch", "jh", "th", "dh", "bh"], ["k#", "g#", "c#", "J#", "t#", "d#", "b#"], strict=True)),
    **dict(zip(["T", "Th", "D", "Dh", "N", "L", "S"], ["t.", "t.#", "d.", "d.#", "n.", "l.", "s."], strict=True)),
    "j": "J",
    "ng": "N",
    "ny": "n^",
    "y": "j",
    "v": "v#",
    "sh": "S;",
}


class Espeak:
    """The program that talks to the library (see `espeak_server` for why it is one)."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("espeak_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()
        atexit.register(self.close)

    @property
    def process_id(self) -> int:
        """Of the program that speaks."""
        return self._process.pid

    def close(self) -> None:
        """End the program; a child after fork leaves the parent's alone."""
        if self._pid != os.getpid():
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        self._process.wait()

    def say(
        self, sentence: Sentence, *, variant: str, pitch: int, span: int, words_per_minute: int
    ) -> tuple[Audio, int, list[TimedPhone]]:
        """Audio float32 at the returned rate, and its phones, `sil` where it pauses.

        ``pitch`` and ``span`` (its range) 0 to 99; ``words_per_minute`` 80 to 400.
        """
        text = "[[" + " ".join(_mnemonics(word) for word in sentence.words) + "]]"
        request = {"text": text, "variant": variant, "pitch": pitch, "range": span, "rate": words_per_minute}
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
                answer: dict[str, Any] = json.loads(line) if line else {"error": "espeak-ng's program ended"}
                samples = self._process.stdout.read(2 * answer.get("samples", 0))
            except (OSError, ValueError) as error:
                raise SynthesisError(f"espeak-ng's program does not answer: {error}") from error
        if "error" in answer:
            raise SynthesisError(answer["error"])
        if not samples:
            raise SynthesisError(f"espeak-ng made no sound for: {text[:200]}")
        audio: Audio = np.frombuffer(samples, dtype="<i2").astype(np.float32) / np.float32(32768.0)
        rate = answer["rate"]
        return audio, rate, _timed(answer["marks"], list(sentence.phones), len(audio) / rate, rate)


def _mnemonics(word: Word) -> str:
    """One word in espeak's phoneme names, stressed on its first vowel, with the mark of its pause outside."""
    names: list[str] = []
    stressed = False
    for phone in word.phones:
        if is_vowel(phone) and not stressed:
            names.append("'")
            stressed = True
        names.append(_NAMES.get(phone, phone))
    mark = {"…": "."}.get(word.pause, word.pause)
    return "".join(names) + (f"]]{mark} [[" if mark else "")


def _timed(marks: list[tuple[int, str]], wanted: list[str], seconds: float, rate: int) -> list[TimedPhone]:
    """Events to phones of the inventory; by shares of the time where espeak merged or added some."""
    spoken = [(at / rate, name) for at, name in marks if not name.startswith(("_", ";", "?", "(")) and name]
    silent = [at / rate for at, name in marks if name.startswith("_")]
    if len(spoken) != len(wanted):
        first = spoken[0][0] if spoken else 0.0
        step = (seconds - first) / max(len(wanted), 1)
        return [TimedPhone(phone, first + step * i, first + step * (i + 1)) for i, phone in enumerate(wanted)]
    result: list[TimedPhone] = []
    for index, (start, _) in enumerate(spoken):
        following = spoken[index + 1][0] if index + 1 < len(spoken) else seconds
        stop = next((at for at in silent if start < at < following), following)
        stop = min(stop, following)
        result.append(TimedPhone(wanted[index], start, stop))
        if following - stop > 0.004:
            result.append(TimedPhone(SILENCE, stop, following))
    return result


@lru_cache(maxsize=1)
def _engine(pid: int) -> Espeak:
    return Espeak()


def engine() -> Espeak:
    """The process's one espeak-ng."""
    return _engine(os.getpid())
