"""Runs as a program of its own: says one request after another with libespeak-ng, each in a fresh child.

The library carries the state of its pitch flutter from one utterance into the next, and nothing resets it; a forked
child starts where every other one starts, so the same request always gives the same samples. Standard library only, so
that a fork costs a millisecond.

In: a JSON line {"text", "variant", "pitch", "range", "rate"}. Out: a JSON line {"rate", "marks", "samples"} and that
many 16-bit samples, or {"error"}.
"""

import ctypes
import ctypes.util
import json
import os
import sys
from typing import Any, ClassVar

_PHONEME_EVENT, _UTF8, _PHONEMES, _SYNCHRONOUS = 7, 1, 0x100, 2
_PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}


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


def _say(library: Any, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    pieces: list[bytes] = []
    marks: list[tuple[int, str]] = []

    def take(wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            pieces.append(ctypes.string_at(wave, 2 * count))
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME_EVENT:
                marks.append((events[at].sample, events[at].id.string.decode("ascii", "replace")))
            at += 1
        return 0

    callback = _CALLBACK(take)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, 1)
    if rate <= 0:
        return {"error": "espeak-ng cannot be initialised: is espeak-ng-data installed?"}, b""
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(f"te+{request['variant']}".encode()) and library.espeak_SetVoiceByName(b"te"):
        return {"error": "espeak-ng has no Telugu voice: apt-get install espeak-ng"}, b""
    for name, number in _PARAMETERS.items():
        library.espeak_SetParameter(number, int(request[name]), 0)
    raw = request["text"].encode("ascii")
    if library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _UTF8 | _PHONEMES, None, None):
        return {"error": "espeak-ng refused"}, b""
    library.espeak_Synchronize()
    return {"rate": rate, "marks": marks}, b"".join(pieces)


def _write(answer: dict[str, Any], samples: bytes) -> None:
    answer["samples"] = len(samples) // 2
    left = memoryview(json.dumps(answer).encode() + b"\n" + samples)
    while left:
        left = left[os.write(1, left) :]


def main() -> None:
    """Serve standard input until it ends."""
    try:
        library: Any = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
    except OSError:
        library = None
    for line in sys.stdin.buffer:
        if library is None:
            _write({"error": "espeak-ng is missing: apt-get install espeak-ng"}, b"")
            continue
        child = os.fork()
        if child == 0:
            try:
                _write(*_say(library, json.loads(line)))
            finally:
                os._exit(0)
        if os.waitpid(child, 0)[1]:
            _write({"error": "espeak-ng crashed"}, b"")


if __name__ == "__main__":
    main()
