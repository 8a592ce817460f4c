"""Voices and emotions have no pages of their own yet: the talk page shows them, the admin edits them."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
