"""What the services of sessions and turns share: locked rows, checked saves, and words for what is wrong."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from apps.voice.errors import ServiceError
from apps.voice.events import Event, session_event_on_commit
from apps.voice.models import VoiceSession


def locked_sessions() -> Any:
    # No join: when the lock has to be waited for, Postgres looks at the row again but not at what was joined to it, and
    # a session whose speaker was changed meanwhile would come back without any. What it refers to is read afterwards.
    return VoiceSession.objects.select_for_update().prefetch_related("speaker", "emotion", "blend", "mix_speaker")


def locked_session(session_id: UUID) -> VoiceSession:
    session: VoiceSession | None = locked_sessions().filter(pk=session_id).first()
    if session is None:
        raise ServiceError("unknown_session", f"there is no session {session_id}", "start a new session")
    return session


def words(error: ValidationError) -> str:
    if hasattr(error, "error_dict"):
        return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
    return " ".join(error.messages)


def save(session: VoiceSession) -> None:
    check(session)
    session.save()


def save_with_event(session: VoiceSession, event: Event) -> None:
    session.event_seq += 1
    save(session)
    session_event_on_commit(session_id=session.pk, event=event, seq=session.event_seq)


def check(session: VoiceSession) -> None:
    try:
        session.full_clean()
    except ValidationError as error:
        raise ServiceError("bad_value", words(error), "see docs/protocol.md") from None
