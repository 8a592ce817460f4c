"""A voice by ear with any dials, before anything of it is saved: a question is asked, and the answer is the sample.

It takes a slot of an inference server for as long as the answer lasts, as anybody's conversation does.
"""

from __future__ import annotations

import asyncio
import io
import threading
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf
from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _

from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.voice.errors import ServiceError
from apps.voice.inference_client import (
    Answer,
    AudioDown,
    InferenceBusy,
    InferenceLink,
    InferenceLost,
    InferenceRefused,
    TalkOptions,
    open_link,
)
from apps.voice.models import VoiceSession
from apps.voice.protocol import FRAME_SAMPLES, SAMPLE_RATE
from apps.voice.servers import server_urls
from apps.voice.voices import voice_of

QUESTION = Path(__file__).with_name("question.flac")
"""What is asked: "what is your name?", by espeak-ng, 16 kHz."""
FASTER = 2.0
"""How much faster than it was spoken the question is sent: servers keep up with that."""
ANSWER_MAX_S = 8.0
TIMEOUT_S = 20.0
_one = threading.BoundedSemaphore(1)
"""One at a time in each web process: slots are for those who talk."""


def audition(*, speaker: Speaker | None, emotion: Emotion | None, blend: VoiceBlend | None = None) -> bytes:
    """A WAV of what is answered as that speaker (its dials may be unsaved) or blend, in that emotion.

    Raises:
        ServiceError: audition_busy where no slot is free, audition_failed where no server can.
    """
    session = VoiceSession(speaker=speaker, emotion=emotion, blend=blend)
    options = TalkOptions(voice_of(session), turn_taking="push")
    if not _one.acquire(timeout=TIMEOUT_S):
        raise _busy()
    try:
        pcm = async_to_sync(_answer)(options)
    except InferenceBusy:
        raise _busy() from None
    except (InferenceRefused, InferenceLost, TimeoutError) as error:
        words = _("no answer was made (%(error)s)") % {"error": str(error) or type(error).__name__}
        raise ServiceError("audition_failed", words, _("look at the inference server's log")) from None
    finally:
        _one.release()
    wav = io.BytesIO()
    sf.write(wav, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return wav.getvalue()


def _busy() -> ServiceError:
    return ServiceError("audition_busy", _("no inference server has room now"), _("try again in a moment"))


@cache
def _question() -> list[bytes]:
    samples, _rate = sf.read(QUESTION, dtype="int16")
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    return [frame.astype("<i2").tobytes() for frame in padded.reshape(-1, FRAME_SAMPLES)]


async def _answer(options: TalkOptions) -> bytes:
    async with asyncio.timeout(TIMEOUT_S):
        link = await open_link(await server_urls(), mode="talk", quantizers=8, talk=options)
        asking = asyncio.create_task(_ask(link))
        try:
            return await _hear(link)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await link.aclose()


async def _ask(link: InferenceLink) -> None:
    await link.key("press")
    for number, frame in enumerate(_question()):
        await link.send_audio(number, 20 * number, 0, frame)
        await asyncio.sleep(FRAME_SAMPLES / SAMPLE_RATE / FASTER)
    await link.key("commit")


async def _hear(link: InferenceLink) -> bytes:
    heard = bytearray()
    while len(heard) < 2 * SAMPLE_RATE * ANSWER_MAX_S:
        message = await link.receive()
        if isinstance(message, AudioDown):
            heard += message.pcm
        elif isinstance(message, Answer) and message.event in ("ended", "interrupted"):
            break
    return bytes(heard)
