"""Addresses of the sockets."""

from __future__ import annotations

from typing import Any

from django.urls import path

from apps.voice.consumer import VoiceConsumer
from apps.voice.simple.consumer import SimpleConsumer

_voice: Any = VoiceConsumer.as_asgi()
_simple: Any = SimpleConsumer.as_asgi()

websocket_urlpatterns = [path("ws/voice/", _voice), path("ws", _simple)]
