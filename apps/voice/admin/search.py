"""Searching sessions and turns: by (the beginning of) an id, by who spoke, by client. Each uses an index."""

from __future__ import annotations

import re
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q

from apps.voice.models import VoiceSession

_HEX = re.compile(r"\A[0-9a-f]{4,32}\Z")
USERS_MAX = 200
SESSIONS_MAX = 2_000


def id_range(term: str) -> tuple[UUID, UUID] | None:
    """The first and last UUID that begin with what was typed (4 or more hexadecimal digits), or None."""
    digits = term.replace("-", "").lower()
    if not _HEX.match(digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def session_condition(term: str) -> Q:
    """Sessions of that id, that user, that client, or that end."""
    condition = Q(owner__in=users_named(term)) | Q(client__icontains=term) | Q(end_reason=term) | Q(last_fault=term)
    bounds = id_range(term)
    return condition | Q(pk__range=bounds) if bounds else condition


def turn_condition(term: str) -> Q:
    """Turns of that id, of that session, or of that user (of a user's newest 2,000 sessions)."""
    bounds = id_range(term)
    if bounds:
        return Q(pk__range=bounds) | Q(session__id__range=bounds)
    sessions = VoiceSession.objects.filter(owner__in=users_named(term)).order_by("-created_at")
    return Q(session__in=list(sessions.values_list("pk", flat=True)[:SESSIONS_MAX]))


def users_named(term: str) -> list[int]:
    """Ids of users whose name or e-mail holds the term, 200 at most."""
    # Lists, not sub-queries: Postgres then looks rows up by their index instead of joining whole tables.
    users = User.objects.filter(Q(username__icontains=term) | Q(email__icontains=term))
    return list(users.values_list("pk", flat=True)[:USERS_MAX])
