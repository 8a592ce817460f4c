"""The codec lab: somebody's recording through a codec and back, on an inference server.

The file is looked at here (size, kind), decoded in a process of its own, and sent on as PCM; nothing is stored.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _

from apps.training.sniffing import ARCHIVES, HEAD_BYTES, sniff
from apps.voice.errors import ServiceError
from apps.voice.inference_work import recording_sent
from apps.voice.servers import server_urls
from ml.serve.wire import (
    MAX_LAB_SAMPLES,
    SAMPLE_RATE,
    Busy,
    Codes,
    Error,
    Lab,
    LabDone,
    LabPiece,
    WireError,
)
from voiceplatform.env import BASE_DIR

MAX_BYTES = 10 * 1024 * 1024
MAX_SECONDS = MAX_LAB_SAMPLES / SAMPLE_RATE
PRESETS = ("hifi", "dialogue")
DECODERS = 2
"""Decoding processes at a time; a third waits some seconds, then it is told to come back."""
DECODER_WAIT_S = 10.0
DECODE_TIMEOUT_S = 30.0
RESULT_TIMEOUT_S = 60.0

_decoders = threading.BoundedSemaphore(DECODERS)


@dataclass(frozen=True, slots=True)
class Recording:
    """PCM16LE, 16 kHz, mono. ``cut``: it was longer than what is taken."""

    pcm: bytes
    cut: bool

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class LabResult:
    """What came back: PCM16LE in step with the recording, codes uint16 [levels, frames], and figures."""

    pcm: bytes
    codes: Codes
    done: LabDone


class LabBusyError(ServiceError):
    """Nobody has time now."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("lab_busy", _("the codec lab has its hands full"), _("try again in a moment"))
        self.retry_after_s = retry_after_s


def recording_from(data: bytes) -> Recording:
    """The first 20 s of an uploaded file. Raises ServiceError: too_big, not_audio, LabBusyError."""
    if len(data) > MAX_BYTES:
        raise ServiceError("too_big", _("the file is larger than %(n)d MB") % {"n": MAX_BYTES >> 20}, _("cut it"))
    kind = sniff(data[:HEAD_BYTES])
    if kind is None or kind in ARCHIVES:
        raise ServiceError("not_audio", _("this is no audio file"), _("send WAV, FLAC, MP3, Ogg, M4A or WebM"))
    pcm = _decoded(data, kind)
    most = 2 * MAX_LAB_SAMPLES
    return Recording(pcm[:most], len(pcm) > most)


def _decoded(data: bytes, kind: str) -> bytes:
    if not _decoders.acquire(timeout=DECODER_WAIT_S):
        raise LabBusyError(DECODER_WAIT_S)
    command = [sys.executable, "-m", "ml.audio.decode", kind, str(MAX_SECONDS)]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=DECODE_TIMEOUT_S,
            cwd=BASE_DIR,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceError("not_audio", _("this file takes too long to decode"), _("send it as WAV")) from None
    finally:
        _decoders.release()
    if done.returncode or not done.stdout:
        raise ServiceError("not_audio", _("this file cannot be decoded"), _("send it as WAV, mono, 16 bit"))
    return done.stdout


async def lab_reconstruct(*, pcm: bytes, preset: str, quantizers: int) -> LabResult:
    """Encode and decode with the newest codec of ``preset``, on the least loaded server that has time.

    Raises ServiceError: LabBusyError, or unknown_preset where no server has that codec.
    """
    retry_s, refusal = 2.0, None
    for url in await server_urls():
        try:
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                answer = await _ask(url, pcm, preset, quantizers)
        except (OSError, WireError):
            continue
        if isinstance(answer, LabResult):
            return answer
        if isinstance(answer, Busy):
            retry_s = answer.retry_after_s
        else:
            refusal = answer
    if refusal is not None:
        raise ServiceError(refusal.code, refusal.message, _("choose the other codec"))
    raise LabBusyError(retry_s)


async def _ask(url: str, pcm: bytes, preset: str, quantizers: int) -> LabResult | Busy | Error:
    audio: list[bytes] = []
    codes: list[Codes] = []
    async with recording_sent(url, Lab(preset, quantizers, len(pcm) // 2), pcm) as answers:
        async for answer in answers:
            match answer:
                case LabPiece() as piece:
                    audio.append(piece.pcm)
                    codes.append(piece.codes)
                case LabDone() as done:
                    return LabResult(b"".join(audio), np.concatenate(codes, axis=1), done)
                case Busy() | Error() as refusal:
                    return refusal
    raise ConnectionResetError(f"{url} hung up")
