"""What the inference server keeps of one conversation between two ticks: its ears, its director, its answer.

Numbers and buffers only: the model's state of the row is the `ml.serve.talker.Talker`'s, what is done with both is
`ml.serve.talk.TalkStage`'s. Belongs to the device thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.recogniser.turns import TurnEars
from ml.serve.slots import Session
from ml.serve.talk_messages import Codes, History, Voice
from ml.turn_taking import EchoGuard, TurnDirector, TurnTakingConfig, finishedness
from ml.turn_taking.prosody import TAIL_MS, pitched
from ml.turn_taking.words import Sort, finished_by

Floats = npt.NDArray[np.float32]

SAMPLES_PER_MS = 16
CODE_MS = 40
WORDS_BEFORE_MS = 100
"""What the recogniser hears from before a stretch of speech."""
HISTORY_CODES = 32
"""Codes kept while nobody speaks: more than the pre-roll, and a barge-in that takes its time to be one."""


@dataclass(frozen=True, slots=True)
class MadeFrame:
    """One frame of an answer: codes uint16 [levels], PCM16 [samples], and what it took."""

    codes: Codes
    pcm: npt.NDArray[np.int16]
    step_us: int
    decode_us: int

    @property
    def duration_ms(self) -> float:
        return len(self.pcm) / SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class Unheard:
    """A frame of an answer that has no sound yet: codes uint16 [levels], and what they took."""

    codes: Codes
    step_us: int


@dataclass(slots=True)
class Spoken:
    """An answer: what was made of it, and how much of that has left."""

    turn: int
    begun_ns: int
    begin_us: int
    plan: int | None = None
    """What the model is going to say, where it tells."""
    confirmed: bool = False
    """The end of the question is certain; until then nothing leaves."""
    finished: bool = False
    """The model has no more."""
    reason: str = "end"
    frames: list[MadeFrame] = field(default_factory=list)
    unheard: list[Unheard] = field(default_factory=list)
    """What comes after `frames` and has no sound yet; it waits where it is while the answer is paused."""
    sent: int = 0
    sent_ms: float = 0.0
    """Of what was sent since `playing_ns`."""
    playing_ns: int = 0
    """When the first audio left (again, after an interruption that was none); 0 before."""
    latency: dict[str, float] = field(default_factory=dict)
    decided_ns: int = 0
    stepped_ns: int = 0
    """When its last frame's codes were made."""
    told_end: bool = False

    @property
    def made(self) -> int:
        """Frames whose codes there are."""
        return len(self.frames) + len(self.unheard)

    @property
    def made_ms(self) -> float:
        """As `sent_ms`, with what has no sound yet."""
        return self.sent_ms + CODE_MS * len(self.unheard)

    def ahead_ms(self, now_ns: int) -> float:
        """Audio that has left ahead of its time."""
        return self.sent_ms - (now_ns - self.playing_ns) / 1e6

    def position_ms(self, frame: int) -> float:
        """Where within the answer ``frame`` begins."""
        return sum(made.duration_ms for made in self.frames[:frame])


@dataclass(frozen=True, slots=True)
class Awaited:
    """A question that is over and whose answer is to leave as soon as there is one."""

    turn: int
    decided_ns: int
    """When the frame arrived that led to it."""
    latency: dict[str, float]


class Conversation:
    """One row in mode ``talk``."""

    def __init__(
        self,
        session: Session,
        talker: Any,
        config: TurnTakingConfig,
        voice: Voice,
        seed: int,
        ears: TurnEars | None = None,
    ) -> None:
        self.session = session
        self.talker = talker
        self.voice = voice
        self.seed = seed
        self._ears = ears
        self.director = TurnDirector(config, self._how_finished, words=self._sort_of_words)
        self.echo = EchoGuard()
        self.now_ms = 0
        self.turns = 0
        self.answer: Spoken | None = None
        self.awaited: Awaited | None = None
        """An answer that people wait for, and that has not begun."""
        self.read_us = 0
        """How long the question took to be read as a whole."""
        self.speculating = False
        self.wished_ns: int | None = None
        """Since when an answer is to be begun, unheard, once the device has the time."""
        self.listening = False
        """A question is open: codes go to the model."""
        self.question: list[Codes] = []
        """Codes of the open question, or of the one being answered, as they are stored."""
        self.backlog: list[Codes | None] = []
        """What of questions the model has not heard; None: what came before that is to be remembered, unanswered."""
        self.held = False
        """A question has ended that is not answered yet, or never will be: what is said now is another one."""
        self.paused: Spoken | None = None
        """The answer at an interruption that may turn out to be none; until then the model keeps its state."""
        self.forget_asked = False
        self.history: list[History] = []
        """Turns of an earlier connection that the model has not been told."""
        self.finished = 0.5
        self._closed_ms = 0
        self._tail = np.zeros(TAIL_MS * SAMPLES_PER_MS, np.float32)
        self._partial: list[Floats] = []
        self._partial_ms = 0
        self._uncoded_ms: deque[int] = deque()
        """Where the codec's frames begin whose codes are still to come."""
        self._recent: deque[tuple[int, Codes]] = deque(maxlen=HISTORY_CODES)

    @property
    def row(self) -> int:
        return self.session.row

    @property
    def answers(self) -> bool:
        """It answers, heard already or not yet."""
        return self.awaited is not None or (self.answer is not None and self.answer.confirmed)

    @property
    def hears_now(self) -> bool:
        """There is something for the model to hear, and no answer in its state that may still be needed."""
        there = bool(self.backlog) and (self.listening or self.held)
        return there and self.answer is None and self.awaited is None and self.paused is None

    # -- ears ----------------------------------------------------------------------------------------------

    def hear(self, audio: Floats, start_ms: int, hop: int) -> Floats | None:
        """A 20 ms frame from the microphone; the codec's next frame of ``hop`` samples when it is complete."""
        self._tail = np.concatenate([self._tail[len(audio) :], audio])
        self.echo.heard(audio)
        if not self._partial:
            self._partial_ms = start_ms
        self._partial.append(audio)
        self.now_ms = start_ms + len(audio) // SAMPLES_PER_MS
        if sum(map(len, self._partial)) < hop:
            return None
        frame = np.concatenate(self._partial)
        self._partial = []
        self._uncoded_ms.append(self._partial_ms)
        return frame

    def coded(self, codes: Codes) -> None:
        """Codes uint16 [levels] of the first frame that `hear` gave and that has none yet."""
        self._recent.append((self._uncoded_ms.popleft(), codes))
        if self.listening:
            self.question.append(codes)
            if not self.held:
                self.backlog.append(codes)

    def level_db(self) -> float:
        """Level of the last 20 ms relative to full scale."""
        frame = self._tail[-20 * SAMPLES_PER_MS :]
        return float(10.0 * np.log10(np.mean(np.square(frame, dtype=np.float64)) + 1e-9))

    def echo_share(self) -> float:
        """Of what the microphone hears, the loudspeaker's; looked at only where it matters."""
        return self.echo.explained() if self.director.overlapping else 0.0

    def pitched(self) -> bool:
        """Whether the microphone hears the periodicity of a voice; looked at only where it matters."""
        return self.director.overlapping and pitched(self._tail)

    def _how_finished(self) -> float:
        # The silence that has passed already says nothing about how the phrase ended.
        silence = self.director.config.speculate_ms * SAMPLES_PER_MS
        self.finished = finishedness(self._tail[: len(self._tail) - silence])
        if self._ears is not None:
            self.finished = finished_by(self.finished, self._ears.ending(self._tail))
        return self.finished

    def _sort_of_words(self, from_ms: int) -> Sort | None:
        if self._ears is None:
            return None
        since = (self.now_ms - from_ms + WORDS_BEFORE_MS) * SAMPLES_PER_MS
        return self._ears.sort(self._tail[-min(len(self._tail), since) :])

    # -- the question --------------------------------------------------------------------------------------

    def open_question(self, from_ms: int) -> None:
        """Listen from ``from_ms`` on, but to nothing twice: the last question may have been taken for finished."""
        since_ms = max(from_ms, self._closed_ms)
        self.question = [codes for start, codes in self._recent if start >= since_ms]
        if not self.held:
            self.backlog = list(self.question)
        self.listening = True

    def close_question(self) -> None:
        """No more is heard of it."""
        self.listening = False
        if not self.held:
            self.backlog = []
        self._closed_ms = self.now_ms

    def complete_question(self) -> None:
        """It is one, and no cough: an earlier one that was held will not be answered any more."""
        if self.held:
            self.backlog += [None, *self.question]
            self.held = False

    def hold_question(self) -> None:
        """It is complete, and answered later, or never."""
        self.complete_question()
        self.held = True
        self.close_question()

    def question_codes(self) -> Codes:
        """uint16 [levels, frames]."""
        if not self.question:
            return np.zeros((8, 0), np.uint16)
        return np.stack(self.question, axis=1)

    # -- the answer ----------------------------------------------------------------------------------------

    def audible_until_ns(self, slack_ms: float) -> int:
        """Until when the loudspeaker may still play the answer."""
        answer = self.answer
        if answer is None or not answer.playing_ns:
            return 0
        return answer.playing_ns + round((answer.sent_ms + slack_ms) * 1e6)
