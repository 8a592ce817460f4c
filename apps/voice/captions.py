"""Approximate captions of turns, from the recogniser of an inference server. Nobody waits for one, some have none."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from apps.voice.inference_work import recording_sent
from apps.voice.servers import server_urls
from ml.serve.wire import MAX_CAPTION_SAMPLES, Busy, Caption, Captioned, Error, WireError

logger = logging.getLogger(__name__)

TIMEOUT_S = 15.0
SHORTEST_BYTES = 2 * 1600
"""A tenth of a second holds no word."""


@dataclass(frozen=True, slots=True)
class CaptionText:
    """Telugu text; ``known``: one of the corpus, else letters by rule."""

    text: str
    known: bool


async def caption_of(pcm: bytes) -> CaptionText | None:
    """What was said in PCM16LE 16 kHz mono, approximately; None where nobody can tell, or has the time."""
    if len(pcm) < SHORTEST_BYTES:
        return None
    pcm = pcm[: 2 * MAX_CAPTION_SAMPLES]
    for url in await server_urls():
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await _ask(url, pcm)
        except (OSError, WireError) as error:
            logger.info("no caption from %s: %r", url, error)
            continue
        if isinstance(answer, Captioned):
            return CaptionText(answer.text, answer.known) if answer.text else None
    return None


async def _ask(url: str, pcm: bytes) -> Captioned | Busy | Error:
    async with recording_sent(url, Caption(len(pcm) // 2), pcm) as answers:
        async for answer in answers:
            if isinstance(answer, Captioned | Busy | Error):
                return answer
    raise ConnectionResetError(f"{url} hung up")
