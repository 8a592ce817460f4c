"""Conversations of all rows in mode ``talk``: hear, decide, answer. Runs in the device thread, one call per tick.

A tick takes at most one 20 ms frame of each row. Voice activity and turn-taking look at every one of them; the codec
hears several at once, when something is decided or the model's next chunk is full. All rows that need the same work
share one batch. Answers are made a little faster than they are spoken: at most `TalkConfig.lead_ms` of audio has left
before its time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml.serve.answering import AnswerMaker, by_talker
from ml.serve.conversation import CODE_MS, Awaited, Conversation, Spoken
from ml.serve.messages import Speech
from ml.serve.slots import Frame, Session
from ml.serve.speaking import Mouth, Say, TalkConfig
from ml.serve.talk_messages import Answer, Endpoint, TurnCodes
from ml.turn_taking import (
    Action,
    BackchannelHeard,
    Commit,
    Dismiss,
    Interrupt,
    Observation,
    OpenTurn,
    Reply,
    Resume,
    Speculate,
    SpeechStarted,
    SpeechStopped,
    Withdraw,
)
from ml.turn_taking import Endpoint as EndpointDecided
from ml.vad import VadBank

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

_CODE_FRAMES = 4
"""Frames of the codec that are coded together, as many as the model reads at once: they cost little more than one."""
_CODE_WAIT_NS = ((_CODE_FRAMES - 1) * CODE_MS + 30) * 1_000_000
"""So long a row's first frame waits for others to be coded with, at most; the next four would be there 40 ms later."""


@dataclass(frozen=True, slots=True)
class _Uncoded:
    """What a row has heard since `since_ns` and has no codes yet, in frames of the codec."""

    conversation: Conversation
    since_ns: int
    frames: list[Floats] = field(default_factory=list)


class TalkStage:
    """All conversations. ``say`` publishes a message of a session."""

    def __init__(
        self, vad: VadBank, config: TalkConfig, say: Say, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._vad = vad
        self._config = config
        self._say = say
        self._clock = clock
        self._rows: dict[int, Conversation] = {}
        self._uncoded: dict[int, _Uncoded] = {}
        """By row, what was heard and has no codes yet."""
        self.mouth = Mouth(config, say, clock)
        self._maker = AnswerMaker(config, self.mouth, clock)

    def settle(self, c: Conversation) -> None:
        """Nothing of this row is left half done: for who is about to change something."""
        self._code([c.row])
        self._maker.settle(c)

    def now_ns(self) -> int:
        """The stage's clock."""
        return self._clock()

    @property
    def conversations(self) -> list[Conversation]:
        return list(self._rows.values())

    def find(self, session: Session) -> Conversation | None:
        """The session's conversation, unless its row has another owner by now."""
        found = self._rows.get(session.row)
        return found if found is not None and found.session is session else None

    def begin(self, conversation: Conversation) -> None:
        """A row starts anew, with what it remembers of an earlier connection."""
        self._uncoded.pop(conversation.row, None)
        self._rows[conversation.row] = conversation
        self._vad.reset(conversation.row)
        conversation.talker.reset([conversation.row])

    def sweep(self) -> None:
        """Forget rows whose session has closed."""
        for row, conversation in list(self._rows.items()):
            if conversation.session.closed:
                del self._rows[row]
                self._uncoded.pop(row, None)

    # -- hearing -------------------------------------------------------------------------------------------

    def hear(self, frames: list[tuple[Conversation, Frame]]) -> None:
        """One microphone frame of each of these rows."""
        if not frames:
            return
        for conversation, _ in frames:
            if conversation.history:
                conversation.talker.recall(conversation.row, conversation.history)
                conversation.history = []
        audio = np.stack([np.frombuffer(f.audio.pcm, "<i2") for _, f in frames]).astype(np.float32) / np.float32(32_768)
        self._vad.push([c.row for c, _ in frames], audio, [f.audio.timestamp_ms for _, f in frames])
        now_ns = self._clock()
        for (conversation, frame), samples in zip(frames, audio, strict=True):
            whole = conversation.hear(samples, frame.audio.timestamp_ms, conversation.talker.hop)
            if whole is not None:
                self._uncoded.setdefault(conversation.row, _Uncoded(conversation, now_ns)).frames.append(whole)
        acting: list[tuple[Conversation, int, list[Action]]] = []
        for conversation, frame in frames:
            actions: list[Action] = []
            if conversation.director.phase == "answer" and self.mouth.over(conversation, now_ns):
                actions += self._answer_over(conversation)
            actions += conversation.director.hear(
                Observation(
                    end_ms=conversation.now_ms,
                    probability=float(self._vad.probability[conversation.row]),
                    level_db=conversation.level_db(),
                    echo=conversation.echo_share(),
                    pitched=conversation.pitched(),
                )
            )
            acting.append((conversation, frame.arrived_ns, actions))
        # Four frames of four rows are coded for little more than one: who is early waits, unless something happens.
        full = [row for row, heard in self._uncoded.items() if len(heard.frames) >= _CODE_FRAMES]
        if len(full) < len(self._rows):
            full = [row for row in full if now_ns - self._uncoded[row].since_ns >= _CODE_WAIT_NS]
        self._code(full + [c.row for c, _, actions in acting if actions])
        self.act(acting)

    def _code(self, rows: list[int]) -> None:
        """Codes of all that these rows have heard; who has heard as much joins them."""
        counts = {len(self._uncoded[row].frames) for row in rows if row in self._uncoded}
        for count in counts:
            same = [heard for heard in self._uncoded.values() if len(heard.frames) == count]
            for talker, group in by_talker(same, lambda heard: heard.conversation):
                audio = np.stack([np.concatenate(heard.frames) for heard in group])
                codes = talker.encode([heard.conversation.row for heard in group], audio)
                for heard, row_codes in zip(group, codes, strict=True):
                    del self._uncoded[heard.conversation.row]
                    for frame_codes in row_codes.T:
                        heard.conversation.coded(frame_codes)

    # -- deciding ------------------------------------------------------------------------------------------

    def act(self, acting: Iterable[tuple[Conversation, int, list[Action]]]) -> None:
        """Carry out decisions; ``int`` is when the frame that led to them arrived, ns."""
        for conversation, arrived_ns, actions in acting:
            for action in actions:
                self._maker.settle(conversation)
                self._carry_out(conversation, arrived_ns, action)

    def _carry_out(self, c: Conversation, arrived_ns: int, action: Action) -> None:
        match action:
            case SpeechStarted(at_ms):
                self._say(c.session, Speech("started", max(0, at_ms)))
            case SpeechStopped(at_ms):
                self._say(c.session, Speech("stopped", max(0, at_ms)))
            case OpenTurn(from_ms):
                c.open_question(from_ms)
            case Speculate():
                # While an interruption may still be none, the model keeps the answer that would go on.
                c.speculating = c.paused is None and c.answer is None and c.director.config.answers and not c.held
                c.wished_ns = self._clock() if c.speculating else None
                c.read_us = 0
            case Withdraw():
                self._withdraw(c)
            case Commit():
                self._give_up_paused(c)
            case EndpointDecided():
                self._end_question(c, arrived_ns, action)
            case Reply():
                self._reply(c, arrived_ns)
            case Dismiss():
                self._dismiss(c)
            case Interrupt():
                self._interrupt(c, action)
            case Resume():
                self._resume(c)
            case BackchannelHeard():
                log.debug("row %d: a backchannel of %d ms", c.row, action.duration_ms)

    def _withdraw(self, c: Conversation) -> None:
        """The answer that was begun unheard is void."""
        if c.speculating and c.answer is not None:
            c.answer = None
            c.talker.rewind([c.row])
        c.speculating, c.wished_ns = False, None

    def _end_question(self, c: Conversation, arrived_ns: int, action: EndpointDecided) -> None:
        needs_begin = c.answer is None
        was_read = c.wished_ns is not None and c.talker.has_read(c.row)
        if action.answered != "now":
            self._withdraw(c)
            self._give_up_paused(c)
            c.hold_question()
        else:
            c.speculating, c.wished_ns = False, None
            c.complete_question()
            if needs_begin:
                self._give_up_paused(c)
                if not was_read:
                    self._maker.listen(c)
            c.close_question()
        self._say(
            c.session,
            Endpoint(
                turn=c.turns,
                start_ms=max(0, action.speech_start_ms),
                end_ms=max(0, action.speech_end_ms),
                decided_ms=max(0, action.decided_ms),
                reason=action.reason,
                finished=round(c.finished, 3),
                answered=action.answered,
            ),
        )
        self._say(c.session, TurnCodes(c.turns, c.question_codes()))
        if action.answered == "now":
            waited_ms = float(max(0, action.decided_ms - action.speech_end_ms))
            self._answer(c, c.turns, arrived_ns, {"endpoint_ms": waited_ms, "speculated": 0.0 if needs_begin else 1.0})
        c.turns += 1

    def _reply(self, c: Conversation, arrived_ns: int) -> None:
        """The question that was held is answered after all."""
        self._maker.listen(c)
        c.held = False
        self._answer(c, c.turns - 1, arrived_ns, {"speculated": 0.0})

    def _answer(self, c: Conversation, turn: int, arrived_ns: int, latency: dict[str, float]) -> None:
        """The answer to ``turn`` may leave."""
        self._maker.answer(c, Awaited(turn, arrived_ns, latency))

    def _dismiss(self, c: Conversation) -> None:
        if c.held or (c.answer is not None and c.answer.confirmed):
            c.close_question()  # the model has heard nothing of it, and something else that it needs
            return
        c.speculating, c.wished_ns = False, None
        c.answer = None
        c.close_question()
        self._give_up_paused(c)
        c.talker.drop([c.row])
        self._forget_if_asked(c)

    def _interrupt(self, c: Conversation, action: Interrupt) -> None:
        answer = c.answer
        if answer is None:
            return
        self._say(c.session, Answer(answer.turn, "interrupted", round(answer.sent_ms), action.reason))
        if action.reason == "continued":
            # It was no end: the answer is void, the question goes on.
            c.talker.rewind([c.row])
        elif action.reason == "barge_in":
            c.paused = answer
        else:
            self._remember(c, answer)
        c.answer = None

    def _give_up_paused(self, c: Conversation) -> None:
        """The interrupted answer is over, as far as it was heard."""
        answer, c.paused = c.paused, None
        if answer is not None:
            self._remember(c, answer)

    def _remember(self, c: Conversation, answer: Spoken) -> None:
        c.talker.remember(c.row, answer.sent)
        self._forget_if_asked(c)

    def forget(self, c: Conversation) -> None:
        """The model forgets this conversation: at once, or once the present turn is over."""
        c.forget_asked = True
        if c.answer is None and c.paused is None and not c.listening and not c.held:
            self._forget_if_asked(c)

    def _forget_if_asked(self, c: Conversation) -> None:
        if c.forget_asked:
            c.forget_asked = False
            c.talker.reset([c.row])

    def _resume(self, c: Conversation) -> None:
        c.speculating, c.wished_ns = False, None
        c.close_question()
        answer, c.paused = c.paused, None
        if answer is None:
            return
        c.answer = answer
        answer.playing_ns = 0
        answer.sent_ms = 0.0
        self._say(c.session, Answer(answer.turn, "resumed", round(answer.position_ms(answer.sent))))
        self.mouth.send(c, answer)

    def heard_until(self, c: Conversation, heard_ms: int) -> None:
        """How much of the interrupted answer was heard: should it go on, then from there."""
        if c.paused is None:
            return
        answer = c.paused
        position, frame = 0.0, 0
        while frame < answer.sent and position + answer.frames[frame].duration_ms <= heard_ms:
            position += answer.frames[frame].duration_ms
            frame += 1
        answer.sent = frame

    # -- answering -----------------------------------------------------------------------------------------

    def produce(self, brief: bool = False) -> bool:
        """What the model is to do now; with `brief` nothing long, and true when that is what is left."""
        return self._maker.work(self.conversations, brief)

    def next_due_ns(self, now_ns: int) -> int | None:
        """When `produce` has something to do; None while it has nothing."""
        return self._maker.next_due_ns(self.conversations, now_ns)

    def _answer_over(self, c: Conversation) -> list[Action]:
        if c.answer is not None:
            self._remember(c, c.answer)
        c.answer = None
        return c.director.answer_ended(c.now_ms)
