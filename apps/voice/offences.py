"""What a client may do wrong: how often it may write, and when offences have become too many."""

from __future__ import annotations

from collections.abc import Callable

from apps.voice.ending import Ending, error_event
from apps.voice.mailbox import RateLimit
from apps.voice.protocol import MAX_OFFENCES, ErrorCode, ErrorEvent, ProtocolFault

MESSAGES_PER_S = 50


class Offences:
    """Those of one connection. ``say`` tells the client of one, ``finish`` closes on it."""

    def __init__(self, say: Callable[[ErrorEvent], object], finish: Callable[[Ending], None]) -> None:
        self._say = say
        self._finish = finish
        self._rate = RateLimit(per_s=MESSAGES_PER_S, burst=2 * MESSAGES_PER_S)
        self._count = 0

    def check_rate(self) -> None:
        """One more message came. Raises ProtocolFault when they are too many."""
        if not self._rate.take():
            raise ProtocolFault(
                ErrorCode.BAD_MESSAGE, f"type: more than {MESSAGES_PER_S} messages a second", "send fewer"
            )

    def add(self, fault: ProtocolFault) -> None:
        """Count an offence and say so; the fifth, or one that is no mere offence, is the end."""
        self._count += not fault.code.immediate
        if fault.code.immediate or self._count >= MAX_OFFENCES:
            self._finish(Ending("fault", fault))
        else:
            self._say(error_event(fault, fatal=False))
