"""What a live session's chores do when the row, the person or the database changes under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError

from apps.speakers.models import Emotion, Speaker
from apps.voice import housekeeping
from apps.voice.greeting import Person
from apps.voice.housekeeping import RIGHTS_EVERY, Housekeeping
from apps.voice.models import VoiceSession
from apps.voice.protocol import Configure, ErrorCode, ProtocolFault, SessionConfig
from apps.voice.services import OpenedSession, session_configure, session_end, session_resume
from tests.support.factories import GUEST, open_session

pytestmark = pytest.mark.django_db(transaction=True)


class Chores:
    """Housekeeping of a fresh session, and what it asked for."""

    def __init__(self, opened: OpenedSession) -> None:
        self.opened = opened
        self.applied: list[SessionConfig] = []
        self.offences: list[ProtocolFault] = []
        self.refused: list[ProtocolFault] = []

        self.rows: list[tuple[VoiceSession, bool]] = []
        self.hints: list[str] = []

        async def apply(session: VoiceSession, config: SessionConfig | None, now: bool) -> None:
            self.rows.append((session, now))
            if config is not None:
                self.applied.append(config)

        self.chores = Housekeeping(
            session=opened.session,
            token=opened.resume_token,
            person=Person(AnonymousUser(), GUEST, None),
            generation=lambda: 5,
            apply=apply,
            hint=self.hints.append,
            offend=self.offences.append,
            refuse=self.refused.append,
        )

    async def renew(self) -> None:
        await self.chores._guard(self.chores._renew)

    async def configure(self, **changes: Any) -> None:
        await self.chores._guard(self.chores._configure, Configure(type="config", **changes))


@pytest.fixture
def chores(speaker: Speaker, emotion: Emotion) -> Chores:
    return Chores(open_session())


async def in_db(function: Callable[..., Any], **arguments: Any) -> Any:
    return await sync_to_async(function)(**arguments)


async def test_a_renewal_keeps_the_lease_and_writes_the_generation(chores: Chores) -> None:
    before = chores.opened.session.lease_until
    await chores.renew()
    row = chores.opened.session
    await sync_to_async(row.refresh_from_db)()
    assert row.generation == 5
    assert before is not None
    assert row.lease_until > before
    assert (chores.applied, chores.refused) == ([], [])


async def test_a_change_that_no_event_told_of_is_seen_at_the_next_renewal(chores: Chores) -> None:
    await in_db(session_configure, session_id=chores.opened.session.pk, quantizers=2)
    await chores.renew()
    await chores.renew()
    assert [config.quantizers for config in chores.applied] == [2]


async def test_ended_elsewhere(chores: Chores) -> None:
    await in_db(session_end, session_id=chores.opened.session.pk, reason="operator")
    await chores.renew()
    assert [fault.code for fault in chores.refused] == [ErrorCode.ENDED_BY_OPERATOR]


async def test_taken_over_by_another_connection(chores: Chores) -> None:
    await in_db(session_resume, token=chores.opened.resume_token, user=None, guest_key=GUEST)
    await chores.renew()
    assert [fault.code for fault in chores.refused] == [ErrorCode.RESUME_EXPIRED]


async def test_rights_are_looked_at_once_a_minute(chores: Chores, settings: Any) -> None:
    settings.VOICE_ALLOW_GUESTS = False
    for _ in range(RIGHTS_EVERY - 1):
        await chores.renew()
    assert chores.refused == []
    await chores.renew()
    assert [fault.code for fault in chores.refused] == [ErrorCode.LOGIN_REQUIRED]


async def test_an_unknown_voice_is_an_offence_and_nothing_changes(chores: Chores) -> None:
    await chores.configure(speaker="nobody")
    assert [fault.code for fault in chores.offences] == [ErrorCode.BAD_MESSAGE]
    assert chores.applied == []


async def test_a_change_without_effect_is_answered_all_the_same(chores: Chores) -> None:
    await chores.configure(quantizers=8)
    assert [config.quantizers for config in chores.applied] == [8]


async def test_a_database_that_is_away_ends_no_conversation(chores: Chores, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(housekeeping, "session_renew", away)
    await chores.renew()
    assert (chores.refused, chores.offences) == ([], [])
