"""The talk page and the recordings of turns."""

from __future__ import annotations

from django.urls import path

from apps.voice import views

urlpatterns = [
    path("", views.talk, name="talk"),
    path("turns/<uuid:turn_id>/audio", views.turn_audio, name="turn-audio"),
    path("turns/<uuid:turn_id>/output", views.turn_output, name="turn-output"),
    path("turns/<uuid:turn_id>/codes", views.turn_codes, name="turn-codes"),
]
