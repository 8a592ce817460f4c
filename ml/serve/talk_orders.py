"""Conversations made, and told what to do besides hearing. Runs in the device thread."""

from __future__ import annotations

import random

from ml.recogniser.turns import TurnEars
from ml.serve.conversation import Conversation
from ml.serve.messages import Open
from ml.serve.orders import ChangeTurnTaking, ChangeVoice, Heard, Order, StopAnswer
from ml.serve.slots import Session
from ml.serve.talk import TalkStage
from ml.serve.talk_messages import Forget, History, Key, Listen, TurnTaking, Voice
from ml.turn_taking import TurnTakingConfig

_SHORTEST_MS, _LONGEST_MS = 100, 5_000


def new_conversation(session: Session, request: Open, ears: TurnEars | None = None) -> Conversation:
    """As the session's ``open`` wants it."""
    config = _config(request.turn_taking or "stream", request.endpoint_min_ms, request.endpoint_max_ms)
    seed = random.getrandbits(31) if request.seed is None else request.seed % 2**31
    return Conversation(session, session.model, config, request.voice or Voice(), seed, ears)


def carry_out(talk: TalkStage, conversation: Conversation, order: Order) -> None:
    """One order."""
    if not isinstance(order, Heard) or conversation.paused is not None:  # clients tell it four times a second
        talk.settle(conversation)
    director, now_ns = conversation.director, talk.now_ns()
    match order:
        case StopAnswer():
            talk.act([(conversation, now_ns, director.stop(conversation.now_ms))])
        case Heard(ms):
            talk.heard_until(conversation, ms)
        case ChangeVoice(voice, now):
            conversation.voice = voice
            if now and conversation.answer is not None:
                conversation.talker.restyle(conversation.row, voice)
        case ChangeTurnTaking(mode, low, high):
            before = director.config
            director.config = _config(
                mode or before.mode,
                low if low is not None or mode is not None else before.endpoint_min_ms,
                high if high is not None or mode is not None else before.endpoint_max_ms,
            ).heard_as(before)
        case Listen(threshold, preroll_ms, answers, interruptible):
            director.config = director.config.hearing(
                threshold, preroll_ms, answers=answers, interruptible=interruptible
            )
        case Key(event):
            talk.act([(conversation, now_ns, getattr(director, event)(conversation.now_ms))])
        case Forget():
            talk.forget(conversation)
        case History() as turn:
            conversation.history.append(turn)


def _config(mode: TurnTaking, low: int | None, high: int | None) -> TurnTakingConfig:
    def within(ms: int | None) -> int | None:
        return None if ms is None else min(_LONGEST_MS, max(_SHORTEST_MS, ms))

    low, high = within(low), within(high)
    if low is not None and high is not None and low > high:
        low = high
    return TurnTakingConfig.for_mode(mode, low, high)
