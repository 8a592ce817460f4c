"""Reads of what operators keep."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet

from apps.console.models import SavedFilter


def saved_filters(*, user: AbstractBaseUser | AnonymousUser, page: str) -> QuerySet[SavedFilter]:
    """One user's filters of one list page ("voice.turn"), by name."""
    return SavedFilter.objects.filter(user_id=user.pk or 0, page=page).order_by("name")
