"""The socket's front door: only pages of this very site get in, and only to addresses that exist."""

from __future__ import annotations

import pytest
from channels.testing import WebsocketCommunicator

from voiceplatform.asgi import application


async def accepted(path: str, origin: bytes | None) -> bool:
    """Whether the handshake is accepted; a refusal before it is HTTP 403 with Daphne."""
    headers = [] if origin is None else [(b"origin", origin)]
    communicator = WebsocketCommunicator(application, path, headers=headers)
    connected, _ = await communicator.connect()
    await communicator.disconnect()
    return bool(connected)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"",
        b"https://evil.example",
        b"http://localhost.evil.example",
        b"http://evil.example:8000/localhost",
        b"file://",
        b"\xff\xfe",
    ],
)
async def test_other_origins_are_refused(origin: bytes | None) -> None:
    assert not await accepted("/ws/voice/", origin)


async def test_an_unknown_address_is_refused_not_an_error() -> None:
    assert not await accepted("/ws/nowhere/", b"http://localhost:8000")
