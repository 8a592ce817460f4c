"""Cuts a conversation into the person's turns and hers, as they were heard: pure, bounded, clocked by its caller."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import numpy.typing as npt

from apps.voice.protocol import BYTES_PER_MS, FRAME_MS
from apps.voice.turns import TurnCut
from ml.serve.wire import Answered, History

Codes = npt.NDArray[np.uint16]

PREROLL_MS = 300
POSTROLL_MS = 100
HELD_MS = 35_000
"""Microphone audio in memory: the longest turn and what surrounds it, about 32 kB a second."""
CODE_MS = 40
DOUBT_S = 3.0
"""How long an interrupted answer may still go on (the interruption was a cough); then it is stored as it was heard."""
PLAYOUT_S = 1.5
"""How long after the end of an answer's audio the last reports of the player are waited for."""


@dataclass(slots=True)
class Answer:
    """What she says to one turn."""

    turn: int
    started_ms: int
    """Media time of the microphone's audio when her first audio came."""
    latency: dict[str, float]
    plan: int | None = None
    """What the model chose to say, where it tells."""
    pcm: bytearray = field(default_factory=bytearray)
    codes: list[Codes] = field(default_factory=list)
    generation: int = 0
    from_ms: int | None = None
    """Where it begins in the playback of its generation; None before its audio leaves."""
    before_ms: int = 0
    """How much of it was heard in earlier generations."""
    reported_ms: int = 0
    """How much of it was heard in all, by the player's reports."""
    ended_at: float | None = None
    interrupted_at: float | None = None
    reason: str = ""
    server_ms: float | None = None
    playback_ms: list[float] = field(default_factory=list)

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // BYTES_PER_MS

    def heard(self, generation: int, played_ms: int) -> None:
        """The player has come so far in ``generation``."""
        if self.from_ms is not None and generation == self.generation:
            here = max(0, played_ms - self.from_ms)
            self.reported_ms = max(self.reported_ms, min(self.duration_ms, self.before_ms + here))


class TalkTurns:
    """Turns of one connection. Times ``now`` are the caller's clock in seconds."""

    def __init__(self) -> None:
        self._mic: deque[bytes] = deque(maxlen=HELD_MS // FRAME_MS)
        self._heard_frames = 0
        self._user: tuple[int, int, int, dict[str, float]] | None = None
        """(turn, start_ms, end_ms, latency) of what the person said, until its codes come."""
        self._speech_ms: int | None = None
        self._answer: Answer | None = None
        self._ready: list[TurnCut] = []
        self._behind: list[TurnCut] = []
        """What was said over the present answer, and is stored behind it."""
        self._network_ms: list[float] = []
        self.pairs: deque[History] = deque(maxlen=10)
        """The last turns as the model remembers them."""
        self._questions: dict[int, Codes] = {}
        """Codes of turns that are not in `pairs` yet: an answer to them is given, or may still come."""

    # -- the person ----------------------------------------------------------------------------------------

    def mic(self, pcm: bytes) -> None:
        """A microphone frame."""
        self._mic.append(pcm)
        self._heard_frames += 1

    def speech(self, event: str, at_ms: int) -> None:
        """Voice activity: what is being said when the connection ends is kept, too."""
        self._speech_ms = at_ms if event == "started" else None

    def endpoint(self, turn: int, start_ms: int, end_ms: int, waited_ms: int, answered: Answered = "now") -> None:
        """What the person said is over; its codes follow. An answer that it did not stop goes on."""
        if answered == "now" or self._answer is None:
            self._close_answer()
        self._speech_ms = None
        self._user = (turn, start_ms, end_ms, {"endpoint_ms": float(waited_ms)})

    def question_codes(self, turn: int, codes: Codes) -> None:
        """The codes of turn ``turn``."""
        self._questions[turn] = codes
        if self._user is not None and self._user[0] == turn:
            cuts = self._ready if self._answer is None else self._behind
            cuts.append(self._user_cut(codes))
            self._user = None

    def network(self, rtt_ms: float) -> None:
        """The client reported a round trip."""
        self._network_ms = [*self._network_ms[-8:], rtt_ms]

    # -- she -----------------------------------------------------------------------------------------------

    def answer_started(self, turn: int, latency: dict[str, float], plan: int | None = None) -> None:
        """Her first audio is about to come."""
        if self._answer is not None:
            self._close_answer()
        self._answer = Answer(turn, self._heard_frames * FRAME_MS, latency, plan)

    def answer_audio(self, pcm: bytes, codes: Codes) -> Answer | None:
        """A frame of it came; whose it is."""
        if self._answer is not None:
            self._answer.pcm += pcm
            self._answer.codes.append(codes)
        return self._answer

    def answer_left(self, answer: Answer, generation: int, at_ms: int, server_ms: float) -> None:
        """A frame of ``answer`` left for the client, at ``at_ms`` of the playback of ``generation``."""
        if answer.from_ms is None or generation != answer.generation:
            answer.generation, answer.from_ms = generation, at_ms
            answer.before_ms = answer.reported_ms
        if answer.server_ms is None:
            answer.server_ms = server_ms

    def answer_ended(self, turn: int, reason: str, now: float) -> None:
        """The model has no more of it."""
        if self._answer is not None and self._answer.turn == turn:
            self._answer.ended_at, self._answer.reason = now, reason

    def answer_interrupted(self, reason: str, heard_to_ms: float, now: float) -> int:
        """The person spoke over it; ``heard_to_ms``: where playback of its generation is. How much of it was heard."""
        answer = self._answer
        if answer is None:
            return 0
        answer.heard(answer.generation, round(heard_to_ms))
        answer.interrupted_at, answer.reason = now, reason
        return answer.reported_ms

    def answer_truncated(self, turn: int, heard_ms: int) -> None:
        """The client says how much was heard of an answer that was stopped: less than what left for it."""
        answer = self._answer
        if answer is not None and answer.turn == turn:
            answer.reported_ms = min(answer.reported_ms or answer.duration_ms, answer.duration_ms, max(0, heard_ms))
            if answer.interrupted_at is None and answer.ended_at is not None:
                answer.interrupted_at, answer.reason = answer.ended_at, "client"

    def answer_resumed(self) -> None:
        """It goes on from where it was heard."""
        answer = self._answer
        if answer is None:
            return
        answer.interrupted_at = answer.ended_at = None
        # What was made and not heard comes once more.
        heard = answer.reported_ms * BYTES_PER_MS
        del answer.pcm[heard - heard % 2 :]
        del answer.codes[-(-answer.reported_ms // CODE_MS) :]

    def played(self, generation: int, played_ms: int, buffered_ms: float) -> None:
        """The client's report."""
        if self._answer is not None:
            self._answer.heard(generation, played_ms)
            if generation == self._answer.generation and len(self._answer.playback_ms) < 200:
                self._answer.playback_ms.append(buffered_ms)

    # -- what comes out ------------------------------------------------------------------------------------

    def take(self, now: float) -> list[TurnCut]:
        """Turns that became complete."""
        answer = self._answer
        if answer is not None:
            over = answer.interrupted_at is not None and now - answer.interrupted_at > DOUBT_S
            if answer.ended_at is not None and answer.interrupted_at is None:
                left_s = (answer.duration_ms - answer.reported_ms) / 1000
                over = left_s <= 0.0 or now - answer.ended_at > left_s + PLAYOUT_S
            if over:
                self._close_answer()
        ready, self._ready = self._ready, []
        return ready

    def flush(self, heard_to_ms: float) -> list[TurnCut]:
        """The connection ends: everything as it stands, also what is being said."""
        if self._answer is not None and self._answer.interrupted_at is None:
            self._answer.heard(self._answer.generation, round(heard_to_ms))
        self._close_answer(cut_off=True)
        self._close_answer()
        if self._user is None and self._speech_ms is not None:
            self._user = (0, self._speech_ms, self._heard_frames * FRAME_MS, {})
        if self._user is not None:
            self._ready.append(self._user_cut(None))
            self._user = None
        ready, self._ready = self._ready, []
        return ready

    # -- inside --------------------------------------------------------------------------------------------

    def _user_cut(self, codes: Codes | None) -> TurnCut:
        assert self._user is not None
        _, start_ms, end_ms, latency = self._user
        base = self._heard_frames - len(self._mic)
        first = max(base, (start_ms - PREROLL_MS) // FRAME_MS)
        last = min(self._heard_frames, -(-(end_ms + POSTROLL_MS) // FRAME_MS))
        frames = [self._mic[i - base] for i in range(first, max(first + 1, last)) if i - base < len(self._mic)]
        if self._network_ms:
            latency = {**latency, "network_ms": median(self._network_ms)}
        return TurnCut(
            started_ms=first * FRAME_MS,
            duration_ms=len(frames) * FRAME_MS,
            pcm=b"".join(frames),
            output_pcm=b"",
            codes=codes,
            latency=_rounded(latency),
            interrupted_at_ms=None,
            frames_missing=0,
        )

    def _close_answer(self, *, cut_off: bool = False) -> None:
        self._keep_answer(cut_off)
        self._ready += self._behind
        self._behind = []

    def _keep_answer(self, cut_off: bool) -> None:
        answer, self._answer = self._answer, None
        asked = None if answer is None else self._questions.pop(answer.turn, None)
        for turn, codes in list(self._questions.items()):
            if answer is None or turn < answer.turn:
                self.pairs.append(History(codes, codes[:, :0]))
                del self._questions[turn]
        if answer is None:
            return
        cut_short = answer.interrupted_at is not None or (cut_off and answer.reported_ms < answer.duration_ms)
        heard_ms = answer.reported_ms if cut_short else answer.duration_ms
        frames = -(-heard_ms // CODE_MS)
        said = np.concatenate(answer.codes[:frames], axis=1) if answer.codes[:frames] else None
        if asked is not None:
            self.pairs.append(History(asked, asked[:, :0] if said is None else said, answer.plan))
        if not heard_ms:
            return  # stopped before a sound of it was heard: nothing was said
        latency = {**answer.latency}
        if answer.server_ms is not None:
            latency["web_ms"] = answer.server_ms
        if answer.playback_ms:
            latency["playback_ms"] = median(answer.playback_ms)
        if self._network_ms:
            latency["network_ms"] = median(self._network_ms)
        response = [latency[name] for name in ("endpoint_ms", "server_ms", "web_ms") if name in latency]
        self._ready.append(
            TurnCut(
                started_ms=answer.started_ms,
                duration_ms=heard_ms,
                pcm=bytes(answer.pcm[: heard_ms * BYTES_PER_MS]),
                output_pcm=b"",
                codes=said,
                latency=_rounded(latency),
                interrupted_at_ms=heard_ms if cut_short else None,
                frames_missing=0,
                role="assistant",
                response_ms=round(sum(response)) if response else None,
                end_reason=answer.reason,
                plan=answer.plan,
            )
        )


def _rounded(latency: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in latency.items()}
