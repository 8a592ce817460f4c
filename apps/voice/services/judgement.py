"""What operators do with what was recorded: judge it, remove it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.voice.errors import ServiceError
from apps.voice.models import Turn, VoiceSession
from apps.voice.services.rows import words
from apps.voice.services.sessions import session_end

DELETE_BATCH = 500


@transaction.atomic
def turn_mark(*, turn_id: UUID, mark: str, note: str = "", user: AbstractBaseUser | None = None) -> Turn:
    """Mark one turn good or bad, with a note; the mark "" takes it back.

    Raises:
        ServiceError: unknown_turn or bad_value.
    """
    turn = Turn.objects.select_for_update().filter(pk=turn_id).first()
    if turn is None:
        raise ServiceError("unknown_turn", f"there is no turn {turn_id}")
    turn.mark = mark
    turn.mark_note = note if mark else ""
    turn.marked_by = user if mark and isinstance(user, User) else None
    turn.marked_at = timezone.now() if mark else None
    try:
        turn.full_clean()
    except ValidationError as error:
        raise ServiceError("bad_value", words(error), "mark a turn good, bad or not at all") from None
    turn.save(update_fields=["mark", "mark_note", "marked_by", "marked_at"])
    return turn


def turns_mark(*, turn_ids: Iterable[UUID], mark: str, user: AbstractBaseUser | None = None) -> int:
    """The same mark for several turns; notes that stand are kept. Returns how many were marked."""
    notes = dict(Turn.objects.filter(pk__in=list(turn_ids)).values_list("pk", "mark_note"))
    for turn_id, note in notes.items():
        turn_mark(turn_id=turn_id, mark=mark, note=note, user=user)
    return len(notes)


def turns_delete(*, turn_ids: Iterable[UUID]) -> int:
    """Delete turns with their recordings, some hundred rows a transaction. Returns how many there were.

    Files go once their rows' deletion is committed (see :mod:`apps.voice.signals`).
    """
    ids = list(turn_ids)
    deleted = 0
    for start in range(0, len(ids), DELETE_BATCH):
        with transaction.atomic():
            deleted += Turn.objects.filter(pk__in=ids[start : start + DELETE_BATCH]).delete()[1].get("voice.Turn", 0)
    return deleted


def sessions_delete(*, session_ids: Iterable[UUID]) -> int:
    """End sessions that still run, then delete them with their turns and recordings. Returns how many there were."""
    deleted = 0
    for session_id in session_ids:
        with transaction.atomic():
            session_end(session_id=session_id, reason="deleted")
            deleted += VoiceSession.objects.filter(pk=session_id).delete()[1].get("voice.VoiceSession", 0)
    return deleted
