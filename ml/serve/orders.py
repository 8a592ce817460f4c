"""What a conversation is told besides audio, on its way from the sockets to the device thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ml.serve.talk_messages import Forget, History, Key, Listen, TurnTaking, Voice


@dataclass(frozen=True, slots=True)
class StopAnswer:
    """The person wants the answer to stop."""


@dataclass(frozen=True, slots=True)
class Heard:
    """So much of the interrupted answer had been heard."""

    ms: int


@dataclass(frozen=True, slots=True)
class ChangeVoice:
    """From the next answer on, or ``now``: in the middle of the present one."""

    voice: Voice
    now: bool = False


@dataclass(frozen=True, slots=True)
class ChangeTurnTaking:
    """None leaves as it is."""

    mode: TurnTaking | None
    endpoint_min_ms: int | None
    endpoint_max_ms: int | None


Order: TypeAlias = StopAnswer | Heard | ChangeVoice | ChangeTurnTaking | Key | Listen | Forget | History
