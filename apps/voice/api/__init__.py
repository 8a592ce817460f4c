"""Sessions, turns, preferences and figures by REST."""

from __future__ import annotations

from django.urls import URLPattern, path
from rest_framework.routers import BaseRouter

from apps.voice.api.lab import LabView
from apps.voice.api.preferences import PreferencesView
from apps.voice.api.sessions import SessionViewSet
from apps.voice.api.stats import StatsView
from apps.voice.api.turns import TurnViewSet

urlpatterns: list[URLPattern] = [
    path("lab", LabView.as_view(), name="lab"),
    path("preferences", PreferencesView.as_view(), name="preferences"),
    path("stats", StatsView.as_view(), name="stats"),
]


def register(router: BaseRouter) -> None:
    """Add this app's resources."""
    router.register("sessions", SessionViewSet, basename="session")
    router.register("turns", TurnViewSet, basename="turn")
