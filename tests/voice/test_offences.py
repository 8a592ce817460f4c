"""What a client may do wrong before its connection ends."""

from __future__ import annotations

import pytest

from apps.voice.ending import Ending
from apps.voice.offences import MESSAGES_PER_S, Offences
from apps.voice.protocol import MAX_OFFENCES, ErrorCode, ErrorEvent, ProtocolFault

SMALL = ProtocolFault(ErrorCode.BAD_MESSAGE, "type: unknown", "see the protocol")
GRAVE = ProtocolFault(ErrorCode.GOING_AWAY, "the server restarts", "come back")


@pytest.fixture
def said() -> list[ErrorEvent]:
    return []


@pytest.fixture
def endings() -> list[Ending]:
    return []


@pytest.fixture
def offences(said: list[ErrorEvent], endings: list[Ending]) -> Offences:
    return Offences(said.append, endings.append)


def test_each_is_told_until_one_is_too_many(offences: Offences, said: list[ErrorEvent], endings: list[Ending]) -> None:
    for _ in range(MAX_OFFENCES - 1):
        offences.add(SMALL)
    assert endings == []
    assert [(event.code, event.fatal) for event in said] == [(SMALL.code, False)] * (MAX_OFFENCES - 1)
    offences.add(SMALL)
    assert endings == [Ending("fault", SMALL)]
    assert len(said) == MAX_OFFENCES - 1, "the last one is told by the close"


def test_what_is_no_mere_offence_ends_at_once(
    offences: Offences, said: list[ErrorEvent], endings: list[Ending]
) -> None:
    assert GRAVE.code.immediate
    offences.add(GRAVE)
    assert (said, endings) == ([], [Ending("fault", GRAVE)])


def test_a_flood_of_messages_is_a_fault(offences: Offences) -> None:
    with pytest.raises(ProtocolFault, match=f"more than {MESSAGES_PER_S} messages a second"):
        for _ in range(100_000):  # far faster than the allowance grows
            offences.check_rate()
