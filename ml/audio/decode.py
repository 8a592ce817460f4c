"""A recording of a stranger to PCM, in a process of its own: ``python -m ml.audio.decode KIND SECONDS``.

Reads the file from standard input and writes PCM16LE, 16 kHz, mono, at most SECONDS of it. FFmpeg is told what the file
has to be (KIND: wav, flac, ogg, mp3, m4a or webm), so that no playlist makes it open something else; time and memory
are bounded. Exit status 2 and one line on standard error where it cannot be decoded.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

import av
import numpy as np

SAMPLE_RATE = 16_000
FORMATS = {"wav": "wav", "flac": "flac", "ogg": "ogg", "mp3": "mp3", "m4a": "mov", "webm": "matroska"}
_FLOATS = ("flt", "fltp", "dbl", "dblp")
"""Sample formats that can hold what is no number: FFmpeg would make full-scale clicks of it without a word."""
CPU_SECONDS = 20
MEMORY_BYTES = 2 << 30


class UndecodableError(ValueError):
    """What came is no audio of that kind; the message says what to do."""


def decode(data: bytes, kind: str, seconds: float) -> bytes:
    """PCM16LE, 16 kHz, mono of the first ``seconds`` of ``data``, and a little more. Raises UndecodableError."""
    wanted = round(seconds * SAMPLE_RATE)
    parts: list[Any] = []
    have = 0
    try:
        with av.open(io.BytesIO(data), mode="r", format=FORMATS[kind]) as container:
            if not container.streams.audio:
                raise UndecodableError("there is no audio in this file; send WAV, FLAC, MP3, Ogg, M4A or WebM")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in container.decode(audio=0):
                if frame.format.name in _FLOATS and not np.isfinite(frame.to_ndarray()).all():
                    raise UndecodableError("this file holds NaN or infinite samples; send it as WAV, 16 bit")
                for out in resampler.resample(frame):
                    parts.append(out.to_ndarray().reshape(-1))
                    have += len(parts[-1])
                if have > wanted:
                    break
            else:
                parts += [out.to_ndarray().reshape(-1) for out in resampler.resample(None)]
    except av.FFmpegError as error:
        raise UndecodableError(f"this file cannot be decoded ({error}); send it as WAV or FLAC") from None
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    if not len(samples):
        raise UndecodableError("this file holds no samples; record it again")
    return samples[: wanted + 1].astype("<i2").tobytes()


def _bound() -> None:
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> int:
    """Standard input to standard output; see the module."""
    _bound()
    kind, seconds = sys.argv[1], float(sys.argv[2])
    try:
        pcm = decode(sys.stdin.buffer.read(), kind, seconds)
    except UndecodableError as error:
        print(error, file=sys.stderr)
        return 2
    except MemoryError:
        print("this file needs too much memory to be decoded; send it as WAV or FLAC", file=sys.stderr)
        return 2
    sys.stdout.buffer.write(pcm)
    return 0


if __name__ == "__main__":
    sys.exit(main())
