"""Hints to the consumer that serves a session: something about its row changed.

Sent over the channel layer once the change is committed. They may be lost (no Redis, another process with the
in-memory layer): each carries the row's ``event_seq``, and the consumer re-reads the row when it renews its lease.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Literal
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

logger = logging.getLogger(__name__)

Event = Literal["config", "config_now", "interrupt", "forget", "resumed", "ended"]


def session_group(session_id: UUID) -> str:
    """The channel layer group of a session's consumers."""
    return f"session.{session_id}"


def session_event_on_commit(*, session_id: UUID, event: Event, seq: int) -> None:
    """Send ``{"type": "session.event", "event", "seq"}`` to the session's group after the transaction."""
    transaction.on_commit(partial(_send, session_id, event, seq))


def _send(session_id: UUID, event: Event, seq: int) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    message = {"type": "session.event", "event": event, "seq": seq}
    try:
        async_to_sync(layer.group_send)(session_group(session_id), message)
    except Exception:  # the change is committed; a layer that is away may not fail it after the fact
        logger.warning("event %s of session %s was not sent", event, session_id, exc_info=True)
