"""Work on a recording by an inference server, over a connection of its own and without a session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ml.serve.wire import (
    MAX_LAB_PIECE_BYTES,
    Caption,
    Lab,
    LabUp,
    ServerMessage,
    connect,
    decode_server,
    parse_address,
    read_message,
    write_message,
)

CONNECT_TIMEOUT_S = 1.0


@contextlib.asynccontextmanager
async def recording_sent(url: str, request: Lab | Caption, pcm: bytes) -> AsyncIterator[AsyncIterator[ServerMessage]]:
    """Send ``request`` with its PCM16 and hand out what the server answers, until it hangs up.

    Raises OSError (``TimeoutError`` is one) or WireError. The caller bounds the time of the whole.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        reader, writer = await connect(parse_address(url))
    try:
        await write_message(writer, request)
        for at in range(0, len(pcm), MAX_LAB_PIECE_BYTES):
            await write_message(writer, LabUp(pcm[at : at + MAX_LAB_PIECE_BYTES]))
        yield _answers(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answers(reader: asyncio.StreamReader) -> AsyncIterator[ServerMessage]:
    while (message := await read_message(reader, decode_server)) is not None:
        yield message
