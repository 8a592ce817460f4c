"""What the parts of one connection share."""

from __future__ import annotations

from collections import deque

from apps.voice.native import NativeClient
from apps.voice.openai_realtime.buffer import InputBuffer
from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.outbox import Outbox
from apps.voice.openai_realtime.responses import Response, Responses
from apps.voice.openai_realtime.session import SessionConfig
from apps.voice.openai_realtime.tuning import Tuning
from apps.voice.openai_realtime.turns import Turns
from apps.voice.protocol import FRAME_MS


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
        self.asked: deque[Response | None] = deque()
        """Who waits for the end-points that were ordered, oldest first; None: a turn that the client only committed."""
        self._added_ms = 0

    def order_end(self, response: Response | None, silence_frames: int) -> None:
        """Once everything so far was heard, and so much silence, the turn ends: for ``response``, or for a new one."""

        def end(mark: int) -> None:
            if response is not None and (self.responses.active is not response or response.turn is not None):
                return  # cancelled, or answered already
            self.asked.append(response)
            if response is not None:
                self.responses.asked()
            if self.config.manual:
                self.turns.asked_last()
            self.core.press()
            self.input.answered(mark)
            self.core.release("commit")

        self.input.order(end, silence_frames=silence_frames)
        self._added_ms += silence_frames * FRAME_MS

    def drop_turn(self) -> None:
        """What the person is saying counts for nothing."""
        self.core.press()
        self.core.release("cancel")

    def client_ms(self, at_ms: int) -> int:
        """A time of the session's media clock on the client's: that does not know of the silence that was added."""
        return max(0, at_ms - self._added_ms)
