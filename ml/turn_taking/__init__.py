"""Who speaks when: end-pointing, barge-in, echo. Pure decisions on media time; knows no torch, no socket, no clock."""

from ml.turn_taking.actions import (
    Action,
    BackchannelHeard,
    Commit,
    Dismiss,
    Endpoint,
    Interrupt,
    OpenTurn,
    Reply,
    Resume,
    Speculate,
    SpeechStarted,
    SpeechStopped,
    When,
    Withdraw,
)
from ml.turn_taking.config import Mode, TurnTakingConfig
from ml.turn_taking.director import Phase, TurnDirector
from ml.turn_taking.echo import EchoGuard
from ml.turn_taking.prosody import finishedness
from ml.turn_taking.stretch import Observation

__all__ = [
    "Action",
    "BackchannelHeard",
    "Commit",
    "Dismiss",
    "EchoGuard",
    "Endpoint",
    "Interrupt",
    "Mode",
    "Observation",
    "OpenTurn",
    "Phase",
    "Reply",
    "Resume",
    "Speculate",
    "SpeechStarted",
    "SpeechStopped",
    "TurnDirector",
    "TurnTakingConfig",
    "When",
    "Withdraw",
    "finishedness",
]
