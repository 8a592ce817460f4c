"""Addresses beside the simple socket."""

from __future__ import annotations

from django.urls import path

from apps.voice.simple import views

urlpatterns = [
    path("config", views.ConfigView.as_view(), name="simple-config"),
    path("stats", views.SimpleStatsView.as_view(), name="simple-stats"),
    path("speakers", views.SpeakersView.as_view(), name="simple-speakers"),
]
