"""What the model does, and in which order: listen to questions, begin answers, make their frames. In the device thread.

A step of four rows costs little more than one of a single row, four steps of single rows cost four. So all answers that
have room for a frame join the step of the first one that is due; they fall into step with each other and stay there.
Everything else waits until it is the most urgent thing, and after whatever took long the microphones are heard again:
a frame's codes and their sound are two works. Two frames sound for little more than one: where enough audio is ahead
of its time a frame waits for the next one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from ml.serve.conversation import CODE_MS, Awaited, Conversation, MadeFrame, Spoken, Unheard
from ml.serve.speaking import NEVER, Mouth, TalkConfig
from ml.serve.talk_messages import Codes
from ml.serve.talker import Talker

T = TypeVar("T")

_CODE_NS = CODE_MS * 1_000_000
_SLICE_NS = 5_000_000
"""Work after which a tick ends: what comes next finds the newest frames of the microphones heard."""
_EAGER_FRAMES = 2
"""Frames of an unheard answer that are made at once: its question may be over in 80 ms."""
_SAFE_MS = 160.0
"""Audio ahead of its time from which on an answer is made no faster than twice as fast as it is spoken."""
_PAIR_MS = 100.0
"""Audio ahead of its time from which on a frame waits for the next one to sound with it: some 40 ms and a tick."""
_SOUND_FRAMES = 2
_LISTEN_FRAMES = 4
"""Frames of a question that are listened to at once: the beginning of a turn brings some ten."""


class AnswerMaker:
    """Serves the model to all rows, and hands what it says to the mouth."""

    def __init__(self, config: TalkConfig, mouth: Mouth, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._config = config
        self._mouth = mouth
        self._clock = clock

    def work(self, rows: Sequence[Conversation], brief: bool = False) -> bool:
        """The most urgent things first, until a slice of time is over. With `brief` nothing that may take most of a
        tick; true when such a thing is what is left.
        """
        started = self._clock()
        while (urgent := self._most_urgent(rows)) is not None:
            work, long = urgent
            if long and brief:
                return True
            work()
            if self._clock() - started >= _SLICE_NS:
                break
        return False

    def next_due_ns(self, rows: Sequence[Conversation], now_ns: int) -> int | None:
        """When there is something to do; None while there is nothing."""
        if any(c.awaited is not None or _listens(c) or _reads(c) or self._may_begin(c, now_ns) for c in rows):
            return now_ns
        answers = [c.answer for c in rows if c.answer is not None]
        times = [due for a in answers for due in (self.due_ns(a, now_ns), sound_due_ns(a), self._leaves_ns(a))]
        return min((time_ns for time_ns in times if time_ns < NEVER), default=None)

    def _most_urgent(self, rows: Sequence[Conversation]) -> tuple[Callable[[], object], bool] | None:
        """What is to be done first, and whether it may take most of a tick."""
        now_ns = self._clock()
        for c in rows:
            if c.answer is not None and self._leaves_ns(c.answer) <= now_ns:
                return partial(self._mouth.send, c, c.answer), False
        if any(c.answer is not None and sound_due_ns(c.answer) <= now_ns for c in rows):
            return partial(self.sound, rows), False
        urgent: tuple[int, Callable[[], object], bool] | None = None

        def consider(since_ns: int, work: Callable[[], object], long: bool = False) -> None:
            nonlocal urgent
            if since_ns <= now_ns and (urgent is None or since_ns < urgent[0]):
                urgent = since_ns, work, long

        for c in rows:
            if c.awaited is not None:  # as urgent as an answer that has begun and is not heard yet
                consider(0, partial(self._further, c), c.answer is None)
            elif c.answer is not None:
                consider(self.due_ns(c.answer, now_ns), partial(self._step_all, c.talker, rows))
            elif _listens(c):
                consider(now_ns - len(c.backlog) * _CODE_NS, partial(self._listen_all, c, rows))
            elif c.wished_ns is not None and not c.talker.has_read(c.row):
                consider(c.wished_ns, partial(self._read, c), True)
            elif c.wished_ns is not None and self._may_begin(c, now_ns):
                consider(c.wished_ns, partial(self._begin, c), True)
        return None if urgent is None else urgent[1:]

    # -- listening -----------------------------------------------------------------------------------------

    def listen(self, c: Conversation) -> None:
        """All that has been said of a question goes to the model."""
        c.wished_ns = None
        while c.hears_now:
            self._listen_all(c, [c])

    def _listen_all(self, first: Conversation, rows: Sequence[Conversation]) -> None:
        """The next frames of a question, with other rows that have as many."""
        piece = _next_piece(first)
        if not piece:
            del first.backlog[0]
            first.talker.remember(first.row, 0)
            return
        same = [c for c in rows if _listens(c) and c.talker is first.talker]
        group = [(c, codes) for c, codes in ((c, _next_piece(c)) for c in same) if len(codes) == len(piece)]
        codes = np.stack([np.stack(codes, axis=1) for _, codes in group])
        first.talker.listen([c.row for c, _ in group], codes)
        for c, _ in group:
            del c.backlog[: len(piece)]

    # -- beginning -----------------------------------------------------------------------------------------

    def answer(self, c: Conversation, awaited: Awaited) -> None:
        """The answer may leave. Where it has not begun it does so in the next works, in pieces that each fit a tick;
        whoever touches the row before that calls `settle`.
        """
        if c.answer is None:
            c.awaited = awaited
        else:
            self._confirm(c, c.answer, awaited)

    def settle(self, c: Conversation) -> None:
        """An answer that is waited for is begun and leaves, with its first frame."""
        while c.awaited is not None:
            self._further(c)

    def _further(self, c: Conversation) -> None:
        """The next piece of an answer that is waited for: each fits a tick, and all together do not."""
        if c.awaited is None:
            return
        if c.answer is None and not c.talker.has_read(c.row):
            self._read(c)
        elif c.answer is None:
            self._begin(c, c.awaited.turn)
        elif c.answer.finished or c.answer.frames:
            self._leave(c)
        elif c.answer.unheard:
            self.sound([c])
        else:
            self._step(c.talker, [c])

    def _leave(self, c: Conversation) -> None:
        awaited, c.awaited = c.awaited, None
        if awaited is not None and c.answer is not None:
            self._confirm(c, c.answer, awaited)

    def _confirm(self, c: Conversation, answer: Spoken, awaited: Awaited) -> None:
        answer.confirmed = True
        answer.turn = awaited.turn
        answer.decided_ns = awaited.decided_ns
        answer.latency = {"first_token_ms": answer.begin_us / 1000, **awaited.latency}
        self._mouth.send(c, answer)

    def _read(self, c: Conversation) -> None:
        started = self._clock()
        c.talker.read_next(c.row)
        c.read_us += (self._clock() - started) // 1000

    def _begin(self, c: Conversation, turn: int | None = None) -> Spoken:
        while not c.talker.has_read(c.row):
            self._read(c)
        started = self._clock()
        turn = c.turns if turn is None else turn
        c.talker.begin([c.row], [c.voice], [c.seed + turn])
        c.wished_ns = None
        took_us = (self._clock() - started) // 1000 + c.read_us
        c.read_us = 0
        c.answer = Spoken(turn, started, took_us, c.talker.plan(c.row))
        return c.answer

    @staticmethod
    def _may_begin(c: Conversation, now_ns: int) -> bool:
        """Wished for, and what was said before has been summed up (or takes strangely long)."""
        if c.wished_ns is None or c.answer is not None:
            return False
        return bool(c.talker.remembers(c.row)) or now_ns - c.wished_ns > 2 * _CODE_NS

    # -- going on ------------------------------------------------------------------------------------------

    def due_ns(self, answer: Spoken, now_ns: int) -> int:
        """When the next frame of ``answer`` is to be made."""
        if answer.finished:
            return NEVER
        if not answer.confirmed:
            if answer.made >= self._config.hold_frames:
                return NEVER
            return answer.stepped_ns + (0 if answer.made < _EAGER_FRAMES else _CODE_NS)
        if not answer.playing_ns:
            return 0
        due_ns = answer.playing_ns + round((answer.made_ms - self._config.lead_ms + CODE_MS) * 1e6)
        if answer.ahead_ms(now_ns) >= _SAFE_MS:
            return max(due_ns, answer.stepped_ns + _CODE_NS // 2)
        return due_ns

    def _leaves_ns(self, answer: Spoken) -> int:
        """When what has sound and was kept back may leave: the rest of an answer that goes on after an interruption
        that was none, of which the model may have no more frames to make.
        """
        if not (answer.confirmed and answer.playing_ns and answer.sent < len(answer.frames)):
            return NEVER
        return answer.playing_ns + round((answer.sent_ms - self._config.lead_ms) * 1e6) + 1

    def _has_room(self, answer: Spoken, now_ns: int) -> bool:
        """Whether a frame may be made that is not due yet."""
        if answer.finished:
            return False
        if not answer.confirmed:
            return answer.made < self._config.hold_frames and now_ns >= answer.stepped_ns + _CODE_NS // 2
        return answer.ahead_ms(now_ns) + answer.made_ms - answer.sent_ms < self._config.lead_ms

    def _step_all(self, talker: Talker, rows: Sequence[Conversation]) -> None:
        now_ns = self._clock()

        def joins(answer: Spoken | None) -> bool:
            return answer is not None and (self.due_ns(answer, now_ns) <= now_ns or self._has_room(answer, now_ns))

        self._step(talker, [c for c in rows if c.talker is talker and joins(c.answer)])

    def _step(self, talker: Talker, group: list[Conversation]) -> None:
        """Codes of the next frame of each of these answers."""
        made = talker.step([c.row for c in group])
        now_ns = self._clock()
        for i, conversation in enumerate(group):
            answer = conversation.answer
            assert answer is not None
            answer.stepped_ns = now_ns
            if made.ended[i]:
                answer.finished = True
                if answer.confirmed:
                    self._mouth.send(conversation, answer)
                continue
            answer.unheard.append(Unheard(made.codes[i], made.step_us))
            if answer.made * CODE_MS >= self._config.max_answer_ms:
                answer.finished, answer.reason = True, "limit"

    def sound(self, rows: Sequence[Conversation]) -> None:
        """What was stepped of these rows' answers becomes audio, and leaves where it may."""
        groups: dict[tuple[int, int], list[tuple[Conversation, Spoken]]] = defaultdict(list)
        for c in rows:
            if c.answer is not None and c.answer.unheard:
                groups[id(c.talker), len(c.answer.unheard)].append((c, c.answer))
        for group in groups.values():
            self._sound(group)

    def _sound(self, group: list[tuple[Conversation, Spoken]]) -> None:
        """The same number of frames of answers of one talker."""
        talker = group[0][0].talker
        started = self._clock()
        codes = np.stack([np.stack([frame.codes for frame in answer.unheard], axis=1) for _, answer in group])
        pcm = talker.decode([c.row for c, _ in group], codes)
        decode_us = (self._clock() - started) // 1000 // codes.shape[2]
        for (conversation, answer), samples in zip(group, pcm, strict=True):
            for frame, heard in zip(answer.unheard, np.split(samples, codes.shape[2]), strict=True):
                kept = heard if answer.frames else heard[talker.delay_samples :]
                answer.frames.append(MadeFrame(frame.codes, kept, frame.step_us, decode_us))
            answer.unheard.clear()
            self._leave(conversation)
            if answer.confirmed:
                self._mouth.send(conversation, answer)


def sound_due_ns(answer: Spoken) -> int:
    """When what was stepped of an answer is to become audio: at once where it is needed soon or nothing follows."""
    if not answer.unheard:
        return NEVER
    if answer.finished or len(answer.unheard) >= _SOUND_FRAMES or not answer.frames:
        return 0
    if not answer.confirmed:
        return NEVER  # the next frame comes within 40 ms
    return answer.playing_ns + round((answer.sent_ms - _PAIR_MS) * 1e6) if answer.playing_ns else 0


def _reads(c: Conversation) -> bool:
    """An answer is wished or waited for, and the half of its beginning that looks at the question alone is not done.
    The halves are two works, since together they may take as long as a tick.
    """
    asked = c.wished_ns is not None or c.awaited is not None
    return asked and c.answer is None and not c.talker.has_read(c.row)


def _listens(c: Conversation) -> bool:
    """There is more of the question, which was not read as a whole yet: what comes after that waits, as it does while
    the answer is begun.
    """
    return c.hears_now and (c.wished_ns is None or _reads(c))


def _next_piece(c: Conversation) -> list[Codes]:
    """What the model hears next of one question; nothing where that one is over."""
    piece: list[Codes] = []
    for codes in c.backlog[:_LISTEN_FRAMES]:
        if codes is None:
            break
        piece.append(codes)
    return piece


def by_talker(items: Iterable[T], row_of: Callable[[T], Conversation]) -> list[tuple[Talker, list[T]]]:
    """Groups that can share a batch."""
    groups: dict[int, tuple[Talker, list[T]]] = {}
    for item in items:
        talker = row_of(item).talker
        groups.setdefault(id(talker), (talker, []))[1].append(item)
    return list(groups.values())
