"""What the parts of one connection share."""

from __future__ import annotations

from collections import deque

from apps.voice.native import NativeClient
from apps.voice.openai_realtime.buffer import InputBuffer
from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.outbox import Outbox
from apps.voice.openai_realtime.responses import Response, Responses, Waiting
from apps.voice.openai_realtime.session import SessionConfig
from apps.voice.openai_realtime.tuning import Tuning
from apps.voice.openai_realtime.turns import Turns
from apps.voice.protocol import FRAME_MS

SILENCE_FRAMES = 25
"""What is answered when a response is wanted and nothing was said."""
MOST_ASKED = 50
SAME_MS = 2 * FRAME_MS


class Connection:
    """The client's side of one conversation: configuration, items, responses, audio on its way in."""

    def __init__(self, config: SessionConfig, out: Outbox) -> None:
        self.config = config
        self.out = out
        self.core = NativeClient()
        self.tuning = Tuning(self.core, config)
        self.conversation = Conversation(out.emit)
        self.responses = Responses(out.emit, self.conversation, transcripts=config.transcripts)
        self.turns = Turns(out.emit, self.conversation)
        self.input = InputBuffer(config.input_format)
        self.waiting: Waiting | None = None
        """The newest turn, while it is not answered."""
        self._asked: deque[tuple[int, Response | None]] = deque(maxlen=MOST_ASKED)
        """When, in media time, turns were ordered to end, and for whom; None: the client only committed one."""
        self._added_ms = 0

    def order_end(self, response: Response | None, silence_frames: int) -> None:
        """Once everything so far was heard, and so much silence, the turn ends: for ``response``, or for a new one."""

        def end(mark: int) -> None:
            if response is not None and (self.responses.active is not response or response.turn is not None):
                return  # cancelled, or answered already
            self._asked.append((self.core.media_ms, response))
            if self.config.manual and (self.waiting is None or self.core.pressed):
                self.turns.asked_last()
            self.input.answered(mark)
            if response is None:
                self.core.press()
                self.core.release("commit")
                return
            response.waited, self.waiting = self.waiting, None
            self.responses.asked()
            self.core.reply()

        self.input.order(end, silence_frames=silence_frames)
        self._added_ms += silence_frames * FRAME_MS

    def whose(self, decided_ms: int) -> tuple[bool, Response | None]:
        """Whether an end-point of that media time was ordered, and for whom. An order may have led to none."""
        while self._asked and self._asked[0][0] < decided_ms - SAME_MS:
            self._asked.popleft()
        if self._asked and self._asked[0][0] <= decided_ms + SAME_MS:
            return True, self._asked.popleft()[1]
        return False, None

    def drop_turn(self) -> None:
        """What the person is saying counts for nothing."""
        self.core.press()
        self.core.release("cancel")

    def client_ms(self, at_ms: int) -> int:
        """A time of the session's media clock on the client's: that does not know of the silence that was added."""
        return max(0, at_ms - self._added_ms)
