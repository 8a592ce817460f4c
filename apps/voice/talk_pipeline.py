"""Mode ``talk``: the person speaks, she answers, either may fall silent for the other."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from apps.voice import inference_client as inference
from apps.voice import metrics
from apps.voice.flow import Down, Flow, Up
from apps.voice.inference_client import AudioDown, Draining, KeyEvent, Speech, TurnCodes, Voice
from apps.voice.protocol import AnswerEvent, Endpoint, GenerationChanged, Notice, Played, TurnTaking
from apps.voice.protocol import Speech as SpeechEvent
from apps.voice.talk_turns import Answer, TalkTurns
from apps.voice.turns import TurnCut
from ml.serve.wire import Listen

DOWN_FRAMES = 60
"""Audio that waits for credit, 40 ms each: the inference server paces it, so that only a stalled client fills this."""


class TalkPipeline(Flow):
    """``Down.about`` is the answer that the audio belongs to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, down_frames=DOWN_FRAMES)
        self.conversation = TalkTurns()
        self.session_id: UUID | None = None

    # -- from the client -----------------------------------------------------------------------------------

    def played(self, message: Played) -> None:
        super().played(message)
        self.conversation.played(message.generation, message.played_ms, message.buffered_ms)

    def round_trip(self, rtt_ms: float) -> None:
        self.conversation.network(rtt_ms)

    def interrupt(self) -> int:
        self.conversation.answer_interrupted("client", self._playing_ms(), time.monotonic())
        return super().interrupt()

    def key(self, event: KeyEvent) -> None:
        """Push-to-talk, or an answer that is wanted, after all audio that was accepted before."""
        self._wish(lambda: self._after_audio(event))

    def truncate(self, turn: int, heard_ms: int) -> None:
        """The client knows that of the answer to ``turn``, which it has stopped, only so much was heard."""
        self.conversation.answer_truncated(turn, heard_ms)

    def forget(self) -> None:
        """The model forgets the conversation."""
        self.conversation.pairs.clear()
        self._wish(self.link.forget)

    def set_voice(self, voice: Voice, *, now: bool) -> None:
        """Another voice, from the next answer on or at once."""
        self._wish(lambda: self.link.set(voice=voice, now=now))

    def set_turn_taking(self, mode: TurnTaking, low_ms: int | None, high_ms: int | None) -> None:
        """How turns are taken from now on."""
        self._wish(lambda: self.link.set(turn_taking=mode, endpoint_min_ms=low_ms, endpoint_max_ms=high_ms))

    def listen(self, wish: Listen) -> None:
        """What counts as speech from now on, and what follows from it."""
        self._wish(lambda: self.link.listen(wish))

    # -- from the inference server -------------------------------------------------------------------------

    async def pump_in(self) -> None:
        while True:
            match await self.link.receive():
                case AudioDown() as down:
                    self._answer_audio(down)
                case Speech() as speech:
                    self.conversation.speech(speech.event, speech.at_ms)
                    self._say(SpeechEvent(event=speech.event, at_ms=speech.at_ms))
                case inference.Endpoint() as endpoint:
                    self._endpoint(endpoint)
                case TurnCodes() as turn:
                    self.conversation.question_codes(turn.turn, turn.codes)
                case inference.Answer() as answer:
                    self._answer(answer)
                case Draining():
                    self._say(Notice(code="inference_draining", message="the inference server restarts"))
                case _:
                    pass

    def _endpoint(self, endpoint: inference.Endpoint) -> None:
        waited_ms = max(0, endpoint.decided_ms - endpoint.end_ms)
        self.conversation.endpoint(
            endpoint.turn, endpoint.start_ms, endpoint.end_ms, waited_ms, answered=endpoint.answered
        )
        reasons: dict[str, Any] = {name: name for name in ("released", "too_long")}
        self._say(
            Endpoint(
                turn=endpoint.turn,
                start_ms=endpoint.start_ms,
                end_ms=endpoint.end_ms,
                waited_ms=waited_ms,
                reason=reasons.get(endpoint.reason, "silence"),
                answered=endpoint.answered,
            )
        )

    def _answer(self, answer: inference.Answer) -> None:
        now = time.monotonic()
        generation = self.generation
        match answer.event:
            case "started":
                metrics.count("answers_total")
                self.conversation.answer_started(answer.turn, dict(answer.latency), answer.plan)
            case "ended":
                self.conversation.answer_ended(answer.turn, answer.reason, now)
                if self._down.put(Down(generation, b"", now, None)) is not None:
                    self.meter.dropped += 1
            case "resumed":
                self.conversation.answer_resumed()
            case "interrupted":
                metrics.count("interruptions_total")
        if answer.event == "interrupted" and answer.reason != "client":
            heard_ms = self.conversation.answer_interrupted(answer.reason, self._playing_ms(), now)
            generation = self._raise_generation()
            self._wish(lambda: self.link.set(generation=generation, heard_ms=heard_ms))
            self._say(GenerationChanged(generation=generation, reason="barge_in"))
        self._say(
            AnswerEvent(
                turn=answer.turn,
                event=answer.event,
                generation=generation,
                at_ms=answer.at_ms,
                reason=answer.reason,
                latency=dict(answer.latency),
            )
        )

    def _answer_audio(self, down: AudioDown) -> None:
        self._coded(down)
        if down.generation < self.generation or not down.pcm:
            self.meter.dropped += 1
            return
        answer = self.conversation.answer_audio(down.pcm, down.codes)
        frame = Down(down.generation, down.pcm, time.monotonic(), answer)
        if answer is not None and self._down.put(frame) is not None:
            self.meter.dropped += 1

    # -- what is known -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Nobody waits for an answer that was asked for and is left."""

    def turns(self) -> list[TurnCut]:
        return self.conversation.take(time.monotonic())

    def last_turns(self) -> list[TurnCut]:
        return self.conversation.flush(self._playing_ms())

    # -- inside --------------------------------------------------------------------------------------------

    async def _after_audio(self, event: KeyEvent) -> None:
        await self._all_up()
        await self.link.key(event)

    def _playing_ms(self) -> float:
        """Where the player is by now in the present generation."""
        return self._credit.estimate_ms(time.monotonic())

    def _heard(self, index: int, pcm: bytes) -> None:
        self.conversation.mic(pcm)

    def _never_asked(self, frame: Up) -> None:
        self.meter.dropped += 1

    def _given_up(self, frame: Down) -> None:
        self._moved.set()

    def _sent(self, frame: Down, at_ms: int, server_ms: float) -> None:
        answer: Answer = frame.about
        self.conversation.answer_left(answer, frame.generation, at_ms, server_ms)
