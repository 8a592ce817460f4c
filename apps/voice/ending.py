"""Why and how a connection ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from channels.db import database_sync_to_async

from apps.voice.protocol import ErrorCode, ErrorEvent, ProtocolFault
from apps.voice.services import OpenedSession, session_end, session_suspend

logger = logging.getLogger(__name__)

STORE_GRACE_S = 1.5
"""How long the close waits for the last turns and the row; where that takes longer it goes on after the close."""
END_GRACE_S = 5.0
"""The same after ``end``, whose client waits for its last ``turn``."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection stops: the client left (``gone``) or said ``end``, we close it for a ``fault``, or a ``bug``."""

    kind: Literal["gone", "end", "fault", "bug"]
    fault: ProtocolFault | None = None

    @property
    def grace_s(self) -> float:
        """How long the close may wait for what is still to be stored."""
        if self.kind == "end":
            return END_GRACE_S
        # Who does not read is to be gone within five seconds, however slow the database is.
        too_slow = self.fault is not None and self.fault.code is ErrorCode.TOO_SLOW
        return 0.0 if too_slow else STORE_GRACE_S

    @property
    def code(self) -> str:
        """What the row says of it; empty for an ordinary end."""
        if self.fault is not None:
            return self.fault.code.value
        return self.kind if self.kind == "bug" else ""


def error_event(fault: ProtocolFault, *, fatal: bool) -> ErrorEvent:
    """A fault as the client is told."""
    return ErrorEvent(code=fault.code, message=fault.message, hint=fault.hint, fatal=fatal)


def going_away() -> ProtocolFault:
    """This process stops."""
    return ProtocolFault(ErrorCode.GOING_AWAY, "the server restarts", "reconnect with the resume token")


def inference_lost() -> ProtocolFault:
    """The inference server went away."""
    hint = "reconnect with the resume token"
    return ProtocolFault(ErrorCode.INFERENCE_LOST, "the inference server went away", hint)


def too_slow() -> ProtocolFault:
    """The client does not play what it is sent."""
    hint = "reconnect with the resume token once audio plays again"
    return ProtocolFault(ErrorCode.TOO_SLOW, "audio was sent, but no progress was reported", hint)


async def write_row(opened: OpenedSession, ending: Ending, generation: int | None) -> None:
    """The row: ended by its client, or waiting for its token. Where this fails the lease runs out by itself."""
    session_id, holder = opened.session.pk, opened.resume_token
    try:
        if ending.kind == "end":
            await database_sync_to_async(session_end)(session_id=session_id, reason="client", holder=holder)
        else:
            await database_sync_to_async(session_suspend)(
                session_id=session_id, holder=holder, generation=generation, fault=ending.code
            )
    except Exception:
        logger.exception("session %s: its end could not be written", session_id)
