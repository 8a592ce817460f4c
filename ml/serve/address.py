"""Where inference servers listen: ``unix:///path.sock`` and ``tcp://host:port``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from ml.serve.messages import WireError

# sun_path holds 108 bytes with the closing NUL on Linux.
_UNIX_PATH_MAX = 107


@dataclass(frozen=True, slots=True)
class Address:
    """Where an inference server listens: ``path`` of a unix socket, or ``host`` and ``port``."""

    path: str | None = None
    host: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """``unix:///absolute/path.sock`` or ``tcp://host:port`` (``tcp://[::1]:port`` for IPv6).

    Raises:
        WireError: anything else; the message shows both forms.
    """
    hint = "use unix:///absolute/path.sock or tcp://host:port"
    try:
        parts = urlsplit(text.strip())
        port = parts.port if parts.scheme == "tcp" else None
    except ValueError as exc:
        raise WireError("bad_address", f"address {text!r} is not valid ({exc}); {hint}") from exc
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/") and parts.path != "/":
        # The path is taken as it stands, so that a '#' or '?' in a folder name does no harm.
        path = text.strip().removeprefix("unix://")
        if len(path.encode()) > _UNIX_PATH_MAX or "\0" in path:
            raise WireError(
                "bad_address",
                f"socket path of {len(path.encode())} bytes is too long (at most {_UNIX_PATH_MAX}): {path}",
            )
        return Address(path=path)
    if parts.scheme == "tcp" and parts.hostname and port is not None and parts.path in ("", "/"):
        return Address(host=parts.hostname, port=port)
    raise WireError("bad_address", f"address {text!r} is not valid; {hint}")


async def connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream to an inference server.

    Raises:
        OSError: nobody listens there. Wrap the call in ``asyncio.timeout``; it sets none itself.
    """
    if address.path is not None:
        return await asyncio.open_unix_connection(address.path)
    return await asyncio.open_connection(address.host, address.port)
