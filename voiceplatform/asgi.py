"""Entry point of the web process: pages over HTTP, conversation over WebSockets."""

from __future__ import annotations

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.dev")

_pages = get_asgi_application()  # loads the apps, which everything below needs

from apps.accounts.sockets import TokenLogin  # noqa: E402
from apps.voice.routing import KeyDoor, websocket_urlpatterns  # noqa: E402
from voiceplatform.checks import refuse_unsafe_production  # noqa: E402
from voiceplatform.origins import Front  # noqa: E402

refuse_unsafe_production()

_nowhere: Any = re_path(r"", WebsocketDenier.as_asgi())
"""A socket to an unknown path is refused; the router alone would raise."""

_by_login = AuthMiddlewareStack(TokenLogin(URLRouter([*websocket_urlpatterns, _nowhere])))

application = ProtocolTypeRouter(
    {
        "http": _pages,
        # `Front` before all that reads cookies, so that a page of another site (or a null Origin, which Daphne lets
        # through) gets a 403 first.
        "websocket": KeyDoor(Front(_by_login)),
    }
)
