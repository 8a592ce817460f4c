"""Every address that the URL resolver knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from channels.routing import URLRouter
from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True)
class Endpoint:
    """One pattern: its name with namespaces (else its route), its route, the methods that it answers, and whether it is
    a REST view, which tells them (pages are taken to answer GET)."""

    name: str
    route: str
    methods: frozenset[str]
    rest: bool


def endpoints() -> list[Endpoint]:
    """All patterns of the site."""
    return list(_walk(get_resolver(), "", ""))


def sockets() -> set[str]:
    """Routes of all sockets."""
    from apps.voice.routing import REALTIME_PATH, websocket_urlpatterns

    return {str(entry.pattern) for entry in URLRouter(websocket_urlpatterns).routes} | {REALTIME_PATH.lstrip("/")}


def _walk(resolver: URLResolver, prefix: str, namespace: str) -> Iterator[Endpoint]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry, route, inner)
        elif isinstance(entry, URLPattern):
            name = f"{namespace}{entry.name}" if entry.name else route
            rest = hasattr(entry.callback, "cls")
            yield Endpoint(name, route, _methods(entry.callback), rest)


def _methods(view: Any) -> frozenset[str]:
    """Methods of REST views, which tell them; pages are asked with GET."""
    if actions := getattr(view, "actions", None):
        return frozenset(method for method in actions if method != "head")
    if (cls := getattr(view, "cls", None)) is not None:
        return frozenset(m for m in cls.http_method_names if hasattr(cls, m) and m not in ("head", "options"))
    return frozenset({"get"})
