"""How answers are made: which rows begin, which step together, and when. Runs in the device thread.

A step of four rows costs little more than one of a single row, four steps of single rows cost four. So all answers that
have room for a frame join the step of the first one that is due; they fall into step with each other and stay there.
What nobody waits for yet, the beginning of an answer to a question that may go on, is done one row at a time, when a
tick has room for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ml.serve.conversation import CODE_MS, Conversation, MadeFrame, Spoken
from ml.serve.speaking import NEVER, Mouth, TalkConfig
from ml.serve.talker import Talker

T = TypeVar("T")

_CODE_NS = CODE_MS * 1_000_000
_EAGER_FRAMES = 2
"""Frames of an unheard answer that are made at once: its question may be over in 80 ms."""
_SAFE_MS = 160.0
"""Audio ahead of its time from which on an answer is made no faster than twice as fast as it is spoken."""


class AnswerMaker:
    """Makes the answers of all rows and hands them to the mouth."""

    def __init__(self, config: TalkConfig, mouth: Mouth, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._config = config
        self._mouth = mouth
        self._clock = clock

    # -- beginning -----------------------------------------------------------------------------------------

    def begin(self, talker: Talker, group: list[Conversation]) -> None:
        """Answers of these rows, with their first frame."""
        self._begin(talker, group)
        self._step(talker, group)

    def _begin(self, talker: Talker, group: list[Conversation]) -> None:
        started = self._clock()
        talker.begin([c.row for c in group], [c.voice for c in group], [c.seed + c.turns for c in group])
        took_us = (self._clock() - started) // 1000
        for conversation in group:
            conversation.wished_ns = None
            conversation.answer = Spoken(conversation.turns, started, took_us)

    # -- going on ------------------------------------------------------------------------------------------

    def produce(self, rows: Sequence[Conversation]) -> None:
        """One frame for each row whose answer has room, once one of them is due; else one answer that is wished for."""
        now_ns = self._clock()
        going = [c for c in rows if c.answer is not None]
        due = {c.row for c in going if c.answer and self.due_ns(c.answer, now_ns) <= now_ns}
        for talker, group in by_talker(going, lambda c: c):
            if any(c.row in due for c in group):
                self._step(
                    talker, [c for c in group if c.row in due or (c.answer and self._has_room(c.answer, now_ns))]
                )
        wishing = [c for c in rows if self._may_begin(c, now_ns)]
        if not wishing:
            return
        first = min(wishing, key=lambda c: c.wished_ns or 0)
        if not due or now_ns - (first.wished_ns or 0) > _CODE_NS:
            self._begin(first.talker, [first])

    def next_due_ns(self, rows: Sequence[Conversation], now_ns: int) -> int | None:
        """When `produce` has something to do; None while nothing is to be made."""
        times = [self.due_ns(c.answer, now_ns) for c in rows if c.answer is not None]
        times += [now_ns for c in rows if self._may_begin(c, now_ns)]
        return min((time_ns for time_ns in times if time_ns < NEVER), default=None)

    def due_ns(self, answer: Spoken, now_ns: int) -> int:
        """When the next frame of ``answer`` is to be made."""
        if answer.finished:
            return NEVER
        if not answer.confirmed:
            if len(answer.frames) >= self._config.hold_frames:
                return NEVER
            return now_ns if len(answer.frames) < _EAGER_FRAMES else answer.stepped_ns + _CODE_NS
        if not answer.playing_ns:
            return now_ns
        due_ns = answer.playing_ns + round((answer.sent_ms - self._config.lead_ms + CODE_MS) * 1e6)
        if answer.ahead_ms(now_ns) >= _SAFE_MS:
            return max(due_ns, answer.stepped_ns + _CODE_NS // 2)
        return due_ns

    def _has_room(self, answer: Spoken, now_ns: int) -> bool:
        """Whether a frame may be made that is not due yet."""
        if answer.finished:
            return False
        if not answer.confirmed:
            return len(answer.frames) < self._config.hold_frames and now_ns >= answer.stepped_ns + _CODE_NS // 2
        return answer.ahead_ms(now_ns) < self._config.lead_ms

    @staticmethod
    def _may_begin(c: Conversation, now_ns: int) -> bool:
        """Wished for, and what was said before has been summed up (or takes strangely long)."""
        if c.wished_ns is None or c.answer is not None:
            return False
        return bool(c.talker.remembers(c.row)) or now_ns - c.wished_ns > 2 * _CODE_NS

    def _step(self, talker: Talker, group: list[Conversation]) -> None:
        made = talker.step([c.row for c in group])
        now_ns = self._clock()
        for i, conversation in enumerate(group):
            answer = conversation.answer
            assert answer is not None
            answer.stepped_ns = now_ns
            if made.ended[i]:
                answer.finished = True
            else:
                pcm = made.pcm[i] if answer.frames else made.pcm[i][talker.delay_samples :]
                answer.frames.append(MadeFrame(made.codes[i], pcm, made.step_us, made.decode_us))
                if len(answer.frames) * CODE_MS >= self._config.max_answer_ms:
                    answer.finished, answer.reason = True, "limit"
            if answer.confirmed:
                self._mouth.send(conversation, answer)


def by_talker(items: Iterable[T], row_of: Callable[[T], Conversation]) -> list[tuple[Talker, list[T]]]:
    """Groups that can share a batch."""
    groups: dict[int, tuple[Talker, list[T]]] = {}
    for item in items:
        talker = row_of(item).talker
        groups.setdefault(id(talker), (talker, []))[1].append(item)
    return list(groups.values())
