"""The web process with one address more, `/ws/stall/`, that holds a database call for as long as it is told.

Only the benchmark and the test of the frame path start it: ``python -m benchmarks.stalled_web``. A client sends
``{"ms": 200, "thread": "shared"}`` and gets ``{"began": true}``, and ``{"done": true}`` when the call has returned.
``shared`` holds the process-wide sync thread, as an ordinary Channels consumer does; ``own`` holds a thread of the
socket's own, as live sessions do for their lease and configuration.
"""

import contextlib
import json
import sys
import time
from typing import Any


def hold(seconds: float) -> None:
    """A query that takes that long: ``pg_sleep`` on Postgres, on SQLite a function that sleeps."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_sleep(%s)", [seconds])
            return
        connection.connection.create_function("hold", 1, time.sleep)
        cursor.execute("SELECT hold(%s)", [seconds])


async def stall(scope: Any, receive: Any, send: Any) -> None:
    """The socket at `/ws/stall/`."""
    from asgiref.sync import ThreadSensitiveContext
    from channels.db import database_sync_to_async

    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        wish = json.loads(message["text"])
        context: Any = ThreadSensitiveContext() if wish["thread"] == "own" else contextlib.nullcontext()
        async with context:
            await send({"type": "websocket.send", "text": json.dumps({"began": True})})
            await database_sync_to_async(hold)(wish["ms"] / 1000)
        await send({"type": "websocket.send", "text": json.dumps({"done": True})})


def main() -> int:
    import daphne.server  # noqa: F401 - installs the reactor, before Django can

    import voiceplatform.asgi as site
    from voiceplatform import web

    rest = site.application.application_mapping["websocket"]

    async def sockets(scope: Any, receive: Any, send: Any) -> None:
        await (stall if scope["path"] == "/ws/stall/" else rest)(scope, receive, send)

    site.application.application_mapping["websocket"] = sockets
    return web.main()


if __name__ == "__main__":
    sys.exit(main())
