"""What a live session asks of the database while audio flows: lease, configuration, rights. Never in the frame path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import UUID

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer

from apps.voice.errors import ServiceError, TakenOver
from apps.voice.events import session_group
from apps.voice.greeting import Person, config_of, fault_of
from apps.voice.mailbox import DropOldest
from apps.voice.models import VoiceSession
from apps.voice.protocol import Configure, ErrorCode, ProtocolFault, SessionConfig
from apps.voice.selectors import socket_allowed
from apps.voice.services import session_configure, session_forget, session_renew

logger = logging.getLogger(__name__)

RENEW_S = 5.0
RIGHTS_EVERY = 12
"""Renewals between two looks at login and permission: once a minute. A log-out does not reach an open socket."""
SUBSCRIBE_AGAIN_S = 5.0
SUBSCRIBE_TIMEOUT_S = 1.0

Apply = Callable[[VoiceSession, SessionConfig | None, bool], Awaitable[None]]
"""(the row, the configuration if the client is to be told it, at once)"""
Hint = Callable[[str], None]
Refuse = Callable[[ProtocolFault], None]


class Housekeeping:
    """The chores of one session, strictly one after another in one task."""

    def __init__(
        self,
        *,
        session: VoiceSession,
        token: str,
        person: Person,
        generation: Callable[[], int],
        apply: Apply,
        hint: Hint,
        offend: Refuse,
        refuse: Refuse,
    ) -> None:
        self._session_id: UUID = session.pk
        self._token = token
        self._person = person
        self._generation = generation
        self._apply = apply
        self._hint = hint
        self._offend = offend
        self._refuse = refuse
        self._config = config_of(session)
        self._seq = session.event_seq
        self._chores: DropOldest[Configure | Literal["look", "look_now", "forget"]] = DropOldest(8)
        self._renewals = 0
        self._channel: str | None = None
        self._stopped = False

    def configure(self, message: Configure) -> None:
        """The client wants a change."""
        if self._chores.put(message) is not None:
            self._offend(ProtocolFault(ErrorCode.BAD_MESSAGE, "config: changes come faster than they can be made"))

    def look_again(self, *, now: bool = False) -> None:
        """Something about the row may have changed: read it soon. ``now``: the change applies at once."""
        self._chores.put("look_now" if now else "look")

    def forget(self) -> None:
        """The client wants the model to forget."""
        self._chores.put("forget")

    async def run(self) -> None:
        """Renew the lease every five seconds, do what is asked in between."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + RENEW_S
        while True:
            try:
                async with asyncio.timeout_at(renew_at):
                    chore = await self._chores.get()
            except TimeoutError:
                renew_at = loop.time() + RENEW_S
                await self._guard(self._renew)
                continue
            if chore == "forget":
                await self._guard(self._forget)
            elif isinstance(chore, str):
                await self._guard(self._reread, chore == "look_now")
            else:
                await self._guard(self._configure, chore)

    async def subscribe(self) -> None:
        """Join the session's group on the channel layer.

        Done before the pumps run: cancelled in the middle of a command, Redis clients may turn the cancellation into
        an error of the connection (seen: such a task went on, and its session never ended).
        """
        layer: Any = get_channel_layer()
        if layer is None:
            return
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                channel = await layer.new_channel()
                await layer.group_add(session_group(self._session_id), channel)
                self._channel = channel
        except Exception as error:
            logger.warning("session %s hears no events: %r", self._session_id, error)

    async def listen(self) -> None:
        """Hear the session's events. They are hints: without the layer the lease still looks at the row."""
        layer: Any = get_channel_layer()
        while layer is not None and not self._stopped:
            if self._channel is None:
                await asyncio.sleep(SUBSCRIBE_AGAIN_S)
                await self.subscribe()
                continue
            try:
                while True:
                    event = (await layer.receive(self._channel)).get("event")
                    if event in ("interrupt", "forget"):
                        self._hint(event)
                    else:
                        self.look_again(now=event == "config_now")
            except Exception as error:
                logger.warning("session %s hears no more events: %r", self._session_id, error)
            finally:
                channel, self._channel = self._channel, None
                await layer.group_discard(session_group(self._session_id), channel)

    def stop(self) -> None:
        """The session ends: a task that is about to be cancelled begins nothing anew."""
        self._stopped = True

    # -- inside --------------------------------------------------------------------------------------------

    async def _guard(self, chore: Callable[..., Awaitable[None]], *args: object) -> None:
        """A database that is away for a while must not end a conversation that it has no part in."""
        try:
            await chore(*args)
        except TakenOver as error:
            self._refuse(ProtocolFault(ErrorCode.RESUME_EXPIRED, error.message, error.hint))
        except ServiceError as error:
            self._offend(fault_of(error))
        except ProtocolFault:
            raise
        except Exception:
            logger.exception("session %s: a chore failed", self._session_id)

    async def _renew(self) -> None:
        self._renewals += 1
        if self._renewals % RIGHTS_EVERY == 0 and not await database_sync_to_async(socket_allowed)(
            session_key=self._person.session_key,
            user_id=self._person.user_id,
            guest_key=self._person.guest_key,
            api_token_id=self._person.api_token_id,
        ):
            self._refuse(ProtocolFault(ErrorCode.LOGIN_REQUIRED, "this login has ended", "log in again"))
            return
        await self._reread()

    async def _reread(self, now: bool = False) -> None:
        row = await database_sync_to_async(session_renew)(
            session_id=self._session_id, holder=self._token, generation=self._generation()
        )
        await self._changed(row, now=now)

    async def _configure(self, message: Configure) -> None:
        wishes = message.model_dump(exclude={"type", "now"})
        row = await database_sync_to_async(session_configure)(session_id=self._session_id, now=message.now, **wishes)
        await self._changed(row, now=message.now, tell_anyway=True)

    async def _forget(self) -> None:
        row = await database_sync_to_async(session_forget)(session_id=self._session_id)
        self._seq = row.event_seq
        self._hint("forget")

    async def _changed(self, row: VoiceSession, *, now: bool, tell_anyway: bool = False) -> None:
        if row.status == VoiceSession.Status.ENDED:
            self._refuse(ProtocolFault(ErrorCode.ENDED_BY_OPERATOR, f"this session was ended ({row.end_reason})"))
            return
        config = config_of(row)
        tell = tell_anyway or config != self._config
        # The configuration may be the same and yet mean another voice: an operator has edited the speaker.
        if tell or row.event_seq != self._seq:
            self._config, self._seq = config, row.event_seq
            await self._apply(row, config if tell else None, now)
