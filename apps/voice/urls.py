"""The talk page and the recordings of turns."""

from __future__ import annotations

from django.urls import path

from apps.voice import pages, views

urlpatterns = [
    path("", views.talk, name="talk"),
    path("site.webmanifest", pages.manifest, name="manifest"),
    path("listen", pages.listen, name="listen"),
    path("lab", pages.lab, name="lab"),
    path("about", pages.about, name="about"),
    path("history", pages.history, name="history"),
    path("history/<uuid:session_id>", pages.history_session, name="history-session"),
    path("history/<uuid:session_id>/export", pages.history_export, name="history-export"),
    path("history/<uuid:session_id>/delete", pages.history_delete, name="history-delete"),
    path("turns/<uuid:turn_id>/audio", views.turn_audio, name="turn-audio"),
    path("turns/<uuid:turn_id>/output", views.turn_output, name="turn-output"),
    path("turns/<uuid:turn_id>/codes", views.turn_codes, name="turn-codes"),
    path("turns/<uuid:turn_id>/audio/peaks", views.turn_peaks, {"side": "audio"}, name="turn-audio-peaks"),
    path("turns/<uuid:turn_id>/output/peaks", views.turn_peaks, {"side": "output_audio"}, name="turn-output-peaks"),
    path("turns/<uuid:turn_id>/codes.png", views.turn_codes_image, name="turn-codes-image"),
]
