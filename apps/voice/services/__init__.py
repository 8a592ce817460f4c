"""Writes of sessions and turns. States and times: the docstring of :class:`apps.voice.models.VoiceSession`.

All are synchronous; the consumer calls them through ``database_sync_to_async``, never in the frame path. ``holder``
is the resume token that the caller holds: when another connection has resumed the session meanwhile, the caller's
writes no longer count.
"""

from __future__ import annotations

from apps.voice.errors import ResumeExpired, ServiceError, TakenOver
from apps.voice.services.configuration import Dials, Wishes, session_configure, session_forget, session_interrupt
from apps.voice.services.judgement import sessions_delete, turn_mark, turns_delete, turns_mark
from apps.voice.services.preferences import preference_save
from apps.voice.services.sessions import (
    OpenedSession,
    session_end,
    session_open,
    session_renew,
    session_resume,
    session_suspend,
    sessions_reap,
)
from apps.voice.services.tickets import (
    IssuedTicket,
    RedeemedTicket,
    session_reserve,
    ticket_issue,
    ticket_redeem,
    tickets_clear,
)
from apps.voice.services.turns import TurnDraft, turn_captioned, turn_record, turns_expire

__all__ = [
    "Dials",
    "IssuedTicket",
    "OpenedSession",
    "RedeemedTicket",
    "ResumeExpired",
    "ServiceError",
    "TakenOver",
    "TurnDraft",
    "Wishes",
    "preference_save",
    "session_configure",
    "session_end",
    "session_forget",
    "session_interrupt",
    "session_open",
    "session_renew",
    "session_reserve",
    "session_resume",
    "session_suspend",
    "sessions_delete",
    "sessions_reap",
    "ticket_issue",
    "ticket_redeem",
    "tickets_clear",
    "turn_captioned",
    "turn_mark",
    "turn_record",
    "turns_delete",
    "turns_expire",
    "turns_mark",
]
