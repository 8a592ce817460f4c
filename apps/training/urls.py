"""Training has no pages of its own yet: the admin shows model versions and worker heartbeats."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
