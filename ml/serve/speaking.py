"""How answers leave: a little ahead of their time, and no more. Runs in the device thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.serve.conversation import CODE_MS, Conversation, Spoken
from ml.serve.messages import AudioDown, ServerMessage
from ml.serve.slots import Session
from ml.serve.talk_messages import Answer

Say = Callable[[Session, ServerMessage], None]
NEVER = 2**62


@dataclass(frozen=True, slots=True)
class TalkConfig:
    """How answers leave."""

    lead_ms: int = 320
    """Audio that may leave ahead of its time; under the web's window of 400 ms, which would only queue more."""
    hold_frames: int = 8
    """Frames that are made of an answer while the end of the question is not certain."""
    max_answer_ms: int = 20_000
    """Hard limit on the length of an answer."""
    playback_ms: int = 250
    """What lies between sending and hearing: network and the player's buffer. So long after the last sample an
    answer may still be spoken over."""


class Mouth:
    """Sends what was made of answers. ``say`` publishes a message of a session."""

    def __init__(self, config: TalkConfig, say: Say, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._config = config
        self._say = say
        self._clock = clock
        self.underruns = 0
        """Frames of answers that left after their time."""
        self.answers = 0
        """Answers begun to be heard."""

    def send(self, c: Conversation, answer: Spoken) -> None:
        """What has been made and may leave."""
        now_ns = self._clock()
        while answer.sent < len(answer.frames):
            if answer.playing_ns and answer.ahead_ms(now_ns) >= self._config.lead_ms:
                break
            self._send_frame(c, answer, now_ns)
        if answer.finished and answer.sent == answer.made and not answer.told_end:
            answer.told_end = True
            self._say(c.session, Answer(answer.turn, "ended", round(answer.sent_ms), answer.reason))

    def _send_frame(self, c: Conversation, answer: Spoken, now_ns: int) -> None:
        frame = answer.frames[answer.sent]
        if not answer.playing_ns:
            if answer.sent == 0:
                answer.latency["decode_ms"] = frame.decode_us / 1000
                answer.latency["first_token_ms"] += frame.step_us / 1000
                answer.latency["server_ms"] = (now_ns - answer.decided_ns) / 1e6
                latency = {name: round(value, 3) for name, value in answer.latency.items()}
                self.answers += 1
                self._say(c.session, Answer(answer.turn, "started", latency=latency, plan=answer.plan))
            answer.playing_ns = now_ns
            c.director.answer_started(c.now_ms)
        elif answer.sent_ms < (now_ns - answer.playing_ns) / 1e6:
            self.underruns += 1
            # The loudspeaker has fallen silent: its clock starts anew, or the rest would leave in one burst.
            answer.playing_ns = now_ns - round(answer.sent_ms * 1e6)
        self._say(
            c.session,
            AudioDown(
                seq=answer.sent,
                timestamp_ms=round(answer.position_ms(answer.sent)) if answer.sent < 2 else self._at_ms(c, answer),
                generation=c.session.generation,
                queue_us=0,
                encode_us=frame.step_us,
                decode_us=frame.decode_us,
                codes=frame.codes[:, None],
                pcm=frame.pcm.astype("<i2").tobytes(),
            ),
        )
        c.echo.played(frame.pcm.astype(np.float32) / np.float32(32_768))
        answer.sent += 1
        answer.sent_ms += frame.duration_ms

    @staticmethod
    def _at_ms(c: Conversation, answer: Spoken) -> int:
        """All frames but the first are whole."""
        return round(answer.frames[0].duration_ms + (answer.sent - 1) * CODE_MS)

    def over(self, c: Conversation, now_ns: int) -> bool:
        """Nothing of the answer is left to be heard."""
        answer = c.answer
        return answer is not None and answer.told_end and now_ns >= c.audible_until_ns(self._config.playback_ms)
