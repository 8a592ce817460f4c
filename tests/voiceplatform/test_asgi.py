"""The socket's front door: only pages of this very site get in, and only to addresses that exist."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import connections
from django.utils import timezone

from apps.accounts.services import token_create
from tests.support.endpoints import sockets
from tests.support.factories import make_user
from voiceplatform.asgi import application

OURS, ANOTHERS = b"http://localhost:8000", b"https://evil.example"
SOCKETS: dict[str, tuple[bool, bool, bool]] = {
    # opens for: a page of this site, a program (no Origin), a page of another site; all without login, token or key
    "ws/voice/": (True, True, False),
    "ws": (True, True, False),
    "v1/realtime": (False, False, False),
}
"""Whoever gets in and may not talk is told so and closed: `tests/live`, `tests/voice`."""


async def accepted(path: str, origin: bytes | None, *more: tuple[bytes, bytes]) -> bool:
    """Whether the handshake is accepted; a refusal before it is HTTP 403 with Daphne."""
    headers = [*([] if origin is None else [(b"origin", origin)]), *more]
    communicator = WebsocketCommunicator(application, path, headers=headers)
    connected, _ = await communicator.connect()
    await communicator.disconnect()
    return bool(connected)


@pytest.mark.parametrize(
    "origin",
    [
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


def test_every_socket_has_a_row() -> None:
    assert sockets() == set(SOCKETS), "say in SOCKETS for whom it opens"


@pytest.mark.parametrize("path", SOCKETS)
async def test_for_whom_each_socket_opens(path: str) -> None:
    assert tuple([await accepted(f"/{path}", origin) for origin in (OURS, None, ANOTHERS)]) == SOCKETS[path]


async def test_an_unknown_address_is_refused_not_an_error() -> None:
    assert not await accepted("/ws/nowhere/", b"http://localhost:8000")


async def test_a_program_gets_in_as_nobody_but_never_with_a_cookie() -> None:
    """Every browser sends an Origin: without one there is no page, and a cookie would be somebody's login."""
    assert await accepted("/ws/voice/", None)
    assert not await accepted("/ws/voice/", None, (b"cookie", b"sessionid=abc"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("scopes", "header", "opens"),
    [
        (["chat"], "Bearer {}", True),
        (["read", "train"], "Bearer {}", False),
        (["chat"], "Bearer tvp_wrong{}", False),
        (["chat"], "Basic {}", False),
    ],
)
async def test_a_token_in_the_handshake_opens_what_its_scope_says(scopes: list[str], header: str, opens: bool) -> None:
    def make() -> str:
        expires_at = timezone.now() + timedelta(days=1)
        return token_create(user=make_user("program"), name="t", scopes=scopes, expires_at=expires_at)[1]

    secret = await sync_to_async(make)()
    given = (b"authorization", header.format(secret).encode())
    assert await accepted("/ws/voice/", None, given) is opens
    await sync_to_async(connections.close_all)()
