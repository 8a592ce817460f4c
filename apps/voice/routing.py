"""Addresses of the sockets."""

from __future__ import annotations

from typing import Any

from django.urls import path

from apps.voice.consumer import VoiceConsumer

_voice: Any = VoiceConsumer.as_asgi()

websocket_urlpatterns = [path("ws/voice/", _voice)]
