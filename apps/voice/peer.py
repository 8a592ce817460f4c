"""What a live session needs of its socket."""

from __future__ import annotations

from typing import Protocol

from apps.voice.protocol import ServerEvent


class Peer(Protocol):
    """The sending half of the socket; all are silent once it is closed."""

    async def tell(self, message: ServerEvent) -> None: ...

    async def send_audio(self, frame: bytes) -> None: ...

    async def close(self, code: int) -> None: ...
