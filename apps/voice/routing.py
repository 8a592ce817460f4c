"""Addresses of the sockets."""

from __future__ import annotations

from typing import Any

from django.urls import path

from apps.voice.consumer import VoiceConsumer
from apps.voice.openai_realtime.consumer import RealtimeConsumer
from apps.voice.simple.consumer import SimpleConsumer

_voice: Any = VoiceConsumer.as_asgi()
_simple: Any = SimpleConsumer.as_asgi()

websocket_urlpatterns = [path("ws/voice/", _voice), path("ws", _simple)]

REALTIME_PATH = "/v1/realtime"


class KeyDoor:
    """Before everything that looks at cookies and origins: ``/v1/realtime``, which only a key opens."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._realtime: Any = RealtimeConsumer.as_asgi()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        by_key = scope["path"].rstrip("/") == REALTIME_PATH
        return await (self._realtime if by_key else self._inner)(scope, receive, send)
