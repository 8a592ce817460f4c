"""What the director decides. All times are ms on the media clock of the microphone's audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

When: TypeAlias = Literal["now", "later", "asked"]
"""When a turn is answered: at once; when the answer that it did not stop is over; when somebody asks for it."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The person speaks since ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The person has been silent since ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """The model is to listen from ``from_ms`` on (a little before the speech began)."""

    from_ms: int


@dataclass(frozen=True, slots=True)
class Speculate:
    """A short silence: begin the answer, but keep it back. ``wait_ms`` of silence in all will end the turn."""

    silence_from_ms: int
    wait_ms: int
    finished: float


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The person goes on: the answer that was begun is void, the model listens on."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The turn is over: speech ended at ``speech_end_ms``, known at ``decided_ms``. Unless the answer is to come later,
    it may be heard."""

    speech_start_ms: int
    speech_end_ms: int
    decided_ms: int
    reason: Literal["silence", "released", "too_long"]
    answered: When = "now"


@dataclass(frozen=True, slots=True)
class Reply:
    """The newest turn that waited for its answer gets it now."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Dismiss:
    """What had opened a turn was too short to be one: the model forgets it."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The person speaks over the answer since ``speech_start_ms``: it stops."""

    speech_start_ms: int
    decided_ms: int
    reason: Literal["barge_in", "pressed", "client", "continued"]


@dataclass(frozen=True, slots=True)
class Commit:
    """The interruption is one: the answer will not go on."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Resume:
    """The interruption was none (a backchannel, a cough): the answer goes on where it was stopped."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class BackchannelHeard:
    """A short sound over the answer that did not stop it."""

    at_ms: int
    duration_ms: int


Action: TypeAlias = (
    SpeechStarted
    | SpeechStopped
    | OpenTurn
    | Speculate
    | Withdraw
    | Endpoint
    | Reply
    | Dismiss
    | Interrupt
    | Commit
    | Resume
    | BackchannelHeard
)
