"""espeak-ng's Telugu rules with its voice variants: a second kind of engine, for more kinds of strangers.

It is given our own phones (between ``[[ ]]``), so that labels agree with the other engines, and tells by events when
each one starts. The library keeps one global state per process; calls are serialised by a lock.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import threading
from functools import lru_cache
from typing import Any, ClassVar

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
"""Variants that sound like people; whispers, robots and demons are left out. Missing ones fall back to ``m1``."""
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
_PHONEME_EVENT, _UTF8, _PHONEMES, _SYNCHRONOUS = 7, 1, 0x100, 2
_RATE, _PITCH, _RANGE = 1, 3, 4


class _Id(ctypes.Union):
    _fields_: ClassVar = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, initialised for samples in memory."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self._lib: Any = ctypes.CDLL(name)
        except OSError as error:
            raise SynthesisError("espeak-ng is missing: apt-get install espeak-ng") from error
        self.rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, None, 1)
        if self.rate <= 0:
            raise SynthesisError("espeak-ng cannot be initialised: is espeak-ng-data installed?")
        self._pieces: list[np.ndarray] = []
        self._marks: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME_EVENT:
                self._marks.append((events[at].sample, events[at].id.string.decode("ascii", "replace")))
            at += 1
        return 0

    def say(
        self, sentence: Sentence, *, variant: str, pitch: int, span: int, words_per_minute: int
    ) -> tuple[Audio, int, list[TimedPhone]]:
        """Audio float32 at the returned rate, and its phones, `sil` where it pauses.

        ``pitch`` and ``span`` (its range) 0 to 99; ``words_per_minute`` 80 to 400.
        """
        text = "[[" + " ".join(_mnemonics(word) for word in sentence.words) + "]]"
        wanted = list(sentence.phones)
        with self._lock:
            self._pieces.clear()
            self._marks.clear()
            if self._lib.espeak_SetVoiceByName(f"te+{variant}".encode()) and self._lib.espeak_SetVoiceByName(b"te"):
                raise SynthesisError("espeak-ng has no Telugu voice: apt-get install espeak-ng")
            for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, span)):
                self._lib.espeak_SetParameter(parameter, value, 0)
            raw = text.encode("ascii")
            if self._lib.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _UTF8 | _PHONEMES, None, None):
                raise SynthesisError(f"espeak-ng refused: {text[:200]}")
            self._lib.espeak_Synchronize()
            if not self._pieces:
                raise SynthesisError(f"espeak-ng made no sound for: {text[:200]}")
            audio = np.concatenate(self._pieces).astype(np.float32) / 32768.0
            marks = list(self._marks)
        return audio, self.rate, _timed(marks, wanted, len(audio) / self.rate, self.rate)


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
