"""Addresses beside the realtime socket."""

from __future__ import annotations

from django.urls import path

from apps.voice.openai_realtime import views

urlpatterns = [path("v1/realtime/client_secrets", views.ClientSecretsView.as_view(), name="realtime-client-secrets")]
