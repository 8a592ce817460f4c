"""The web process: ``python -m voiceplatform.web --host 127.0.0.1 --port 8000``.

Daphne, except that SIGTERM drains first (not ready, live sockets told and closed with their own code, then the end):
Daphne alone drops sockets at SIGTERM without a close code. Limits are set here too, since Daphne's defaults let one
client send a megabyte per message.
"""

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from typing import Any

MAX_MESSAGE_BYTES = 64 * 1024
"""Beyond it the socket is closed with 1009 unread; the protocol's own, smaller limits answer with its own codes."""
PING_INTERVAL_S = 5
PING_TIMEOUT_S = 10
"""A peer that vanished without closing is dropped so soon."""
DRAIN_S = 5.0
ARENAS = 1
LARGE_BYTES = 128 << 10
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8

logger = logging.getLogger(__name__)


def serve(host: str, port: int) -> int:
    """Serve ``voiceplatform.asgi`` on ``host``:``port`` until SIGTERM or SIGINT. The exit status."""
    _keep_memory_small()
    # Daphne installs Twisted's asyncio reactor on import: before Django, which might touch the default one.
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server, twisted_loop

    from voiceplatform import backpressure, bodies, drain
    from voiceplatform.asgi import application

    backpressure.install()
    bodies.install()
    server = Server(
        application=application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        signal_handlers=False,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        websocket_timeout=-1,  # a conversation may last: leases and pings end the dead ones
        websocket_max_message_size=MAX_MESSAGE_BYTES,
        websocket_max_frame_size=MAX_MESSAGE_BYTES,
        application_close_timeout=10,
        verbosity=0,
        server_name="voice",
    )
    leaving: list[asyncio.Task[None]] = []

    async def leave() -> None:
        try:
            await drain.drain(DRAIN_S)
        finally:
            server.stop()

    def on_signal() -> None:
        if not leaving:
            logger.info("draining")
            leaving.append(twisted_loop.create_task(leave()))

    for number in (signal.SIGTERM, signal.SIGINT):
        twisted_loop.add_signal_handler(number, on_signal)
    # What is there now stays. Without it the whole is looked through only once a quarter more has come, and until then
    # turns that hang in cycles (an exception and its frames) keep their audio.
    gc.collect()
    gc.freeze()
    server.run()
    return 1 if server.abort_start else 0


def _keep_memory_small() -> None:
    """Have glibc keep one heap for all threads, and return large blocks when they are freed.

    By default every thread gets a heap of its own, and the audio of a turn (up to a megabyte) goes through several on
    its way to the disk: each heap keeps room for what passed once. Elsewhere (musl, macOS) nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m voiceplatform.web", description="Serve pages and live sockets.")
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    options: Any = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.dev")
    return serve(options.host, options.port)


if __name__ == "__main__":
    sys.exit(main())
