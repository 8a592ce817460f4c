"""Between a client of the OpenAI protocol and a :class:`LiveSession`: translates, and keeps the protocol's promises."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from apps.voice.openai_realtime import client_events as client
from apps.voice.openai_realtime.buffer import SHORTEST_MS, InputBuffer
from apps.voice.openai_realtime.client_events import ClientEvent, parse
from apps.voice.openai_realtime.core import CLOSES, Core, Session
from apps.voice.openai_realtime.errors import RealtimeError, unsupported
from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.messages import ItemReader
from apps.voice.openai_realtime.playback import Playback
from apps.voice.openai_realtime.responses import Response, Responses
from apps.voice.openai_realtime.server_events import ServerEventType, new_id
from apps.voice.openai_realtime.session import SessionConfig, SessionPatch
from apps.voice.openai_realtime.turns import Turns
from apps.voice.protocol import (
    BYTES_PER_MS,
    FRAME_MS,
    AnswerEvent,
    Caption,
    Endpoint,
    ErrorCode,
    ErrorEvent,
    GenerationChanged,
    ServerEvent,
    Speech,
    TurnStored,
    Welcome,
    parse_audio_down,
)

FEED_S = FRAME_MS / 1000 / 2
"""Audio that waits is heard at twice the speed of a microphone."""
TICK_S = 0.05
TAIL_FRAMES = 10
"""Silence after a turn that the client commits: the codec holds back 20 ms, and a word may end in the last frame."""
SILENCE_FRAMES = 25
"""What is answered when a response is wanted and nothing was said."""
STUCK_S = 15.0
LAST_AUDIO_S = 2.0
"""How long after the end that the core told the last audio may still come."""

Captioner = Callable[[bytes], Awaitable[str]]


class RealtimeSide:
    """The session's :class:`Peer`, and the client's ear. Give it a session by :meth:`begin` before anything else."""

    def __init__(
        self, send: Callable[[dict[str, Any]], Awaitable[None]], config: SessionConfig, *, caption: Captioner | None
    ) -> None:
        self._send = send
        self._config = config
        self._caption = caption
        self.open = True
        self.ready = asyncio.Event()
        self._out: asyncio.Queue[str] = asyncio.Queue()
        self._core = Core()
        self._conversation = Conversation(self._emit)
        self._responses = Responses(self._emit, self._conversation, transcripts=caption is not None)
        self._turns = Turns(self._emit, self._conversation)
        self._input = InputBuffer(config.input_format)
        self._items = ItemReader(self._conversation, self._turns, self._input)
        self._captioning: asyncio.Task[None] | None = None
        self._generation = 0
        self._added_ms = 0
        """Silence that we added: the client's clock does not know of it."""
        self._playback = Playback()

    def begin(self, session: Session, name: str, first: SessionPatch | None = None) -> None:
        """Greet the session. ``first``: what the client's key brought."""
        self._core.attach(session)
        if first is not None:
            self._config.update(first)
        wishes = self._config.wishes()
        self._core.say(type="hello", protocol=1, mode="talk", client=name[:200], **wishes)

    # -- from the client: never waits ----------------------------------------------------------------------

    def hear(self, text: str) -> None:
        """A message of the client; whatever is wrong with it is answered by an ``error`` event."""
        event_id: str | None = None
        try:
            event = parse(text)
            event_id = event.event_id
            self._carry_out(event)
        except RealtimeError as error:
            self.refuse(error, event_id)

    def _carry_out(self, event: ClientEvent) -> None:
        match event:
            case client.SessionUpdate():
                self._update(event.session)
            case client.Append():
                self._input.append(event.audio, manual=self._config.manual)
            case client.Commit():
                self._commit()
            case client.Clear():
                self._clear()
            case client.ItemCreate():
                self._items.create(event, self._config)
            case client.ItemRetrieve():
                self._conversation.retrieve(event.item_id)
            case client.ItemTruncate():
                self._truncate(event)
            case client.ItemDelete():
                self._conversation.delete(event.item_id)
            case client.ResponseCreate():
                self._create(event.response or client.ResponseIn())
            case client.ResponseCancel():
                self._cancel(event)

    def _update(self, patch: SessionPatch) -> None:
        before = self._config.wishes()
        was_manual = self._config.manual
        self._config.update(patch)
        self._input.change_format(self._config.input_format)
        if was_manual and not self._config.manual:
            self._input.answered()
            self._input.clear()
            self._input.drop()
            self._core.release("cancel")
        self._emit("session.updated", session=self._config.effective)
        if (wishes := self._config.wishes()) != before:
            self._core.say(type="config", **wishes)

    def _commit(self) -> None:
        if self._input.pending_ms < SHORTEST_MS:
            raise RealtimeError(
                f"the buffer holds {self._input.pending_ms:.0f} ms: append at least {SHORTEST_MS} ms, then commit",
                code="input_audio_buffer_commit_empty",
            )
        self._input.commit()
        if self._config.manual:
            self._turns.committed()
        else:  # the turn ends now instead of after its silence; what follows comes as after any other
            self._input.order(self._end_turn, silence_frames=TAIL_FRAMES)
            self._added_ms += TAIL_FRAMES * FRAME_MS

    def _clear(self) -> None:
        self._take_back()
        self._emit("input_audio_buffer.cleared")

    def _take_back(self) -> None:
        """What was appended and not committed never was."""
        if self._input.clear():
            self._core.release("cancel")
            self._input.again()

    def _truncate(self, event: client.ItemTruncate) -> None:
        heard = self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        if heard is not None:
            self._core.truncate(*heard)

    def _create(self, wish: client.ResponseIn) -> None:
        if self._responses.active is not None:
            raise RealtimeError(
                f"response {self._responses.active.id} is in progress: wait for response.done, or cancel it",
                code="conversation_already_has_active_response",
            )
        if wish.conversation not in (None, "auto"):
            raise unsupported("response.conversation", "there is one conversation: use auto")
        if wish.input:
            raise unsupported("response.input", "the model answers what it has heard: leave it out")
        if wish.output_modalities not in (None, ["audio"]):
            raise unsupported("response.output_modalities", 'the model speaks and does not write: use ["audio"]')
        response = self._responses.create(self._config.output_format, metadata=wish.metadata)
        response.question_ms = self._input.committed_ms
        silence = TAIL_FRAMES if self._input.committed_ms or self._core.pressed else SILENCE_FRAMES
        self._input.order(lambda: self._ask(response), silence_frames=silence)
        self._added_ms += silence * FRAME_MS

    def _ask(self, response: Response) -> None:
        """All of the question was heard."""
        if self._responses.active is response and response.turn is None:
            self._responses.asked()
            self._end_turn()

    def _end_turn(self) -> None:
        self._core.press()
        self._input.answered()
        self._core.release("commit")

    def _cancel(self, event: client.ResponseCancel) -> None:
        active = self._responses.active
        if active is None or event.response_id not in (None, active.id):
            raise RealtimeError("no response is in progress", code="response_cancel_not_active")
        self._stop("cancelled", "client_cancelled")

    def _stop(self, status: Any, reason: str, message: str = "") -> None:
        self._stop_captioning()
        self._responses.finish(status, reason, message=message)
        self._core.say(type="interrupt")

    # -- pumps ---------------------------------------------------------------------------------------------

    async def speak(self) -> None:
        """Events to the client, in order."""
        while True:
            text = await self._out.get()
            if self.open:
                await self._send({"type": "websocket.send", "text": text})
            self._out.task_done()

    async def feed(self) -> None:
        """Audio to the session; of a manual turn none while an answer is given, which it would stop."""
        await self.ready.wait()
        while True:
            self._input.more.clear()
            for entry in self._input.take():
                if not isinstance(entry, bytes):
                    entry()
                    continue
                if self._config.manual:
                    await self._responses.unasked()
                if self._config.manual:
                    self._core.press()
                self._core.frame(entry, self._generation)
                await asyncio.sleep(FEED_S)
            await self._input.more.wait()

    async def watch(self) -> None:
        """What was sent counts as played in real time; a response that nothing comes of any more is ended."""
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            if (played := self._playback.news(now)) is not None:
                self._core.say(type="played", generation=self._generation, played_ms=played, buffered_ms=0, underruns=0)
            active = self._responses.active
            if active is None:
                continue
            quiet_s = now - active.stirred_at
            if active.ends_at_ms is not None and quiet_s > LAST_AUDIO_S:
                self._complete(active)
            elif quiet_s > STUCK_S + self._input.waiting_ms / 1000:
                self._stop("failed", "timeout", "the model gave no answer in time")

    # -- Peer: from the session ----------------------------------------------------------------------------

    async def tell(self, message: ServerEvent) -> None:
        """An event of the session, in the protocol's words."""
        match message:
            case Welcome():
                self._generation = message.generation
                self._emit("session.created", session=self._config.effective)
                self.ready.set()
            case GenerationChanged():
                self._generation = message.generation
                self._playback = Playback()
            case Speech() if self._config.manual:
                pass
            case Speech(event="started"):
                self._turns.started(self._client_ms(message.at_ms), hold=self._responses.active is not None)
            case Speech():
                self._turns.stopped(self._client_ms(message.at_ms))
            case Endpoint():
                self._endpoint(message)
            case AnswerEvent():
                self._answer(message)
            case TurnStored(role="user"):
                self._turns.stored(message.id)
            case Caption():
                item_id = self._turns.captioned(message.turn)
                if item_id is not None and self._config.transcribes:
                    self._conversation.transcribed(item_id, message.text)
            case ErrorEvent():
                await self._error(message)
            case _:
                pass

    def _client_ms(self, at_ms: int) -> int:
        return max(0, at_ms - self._added_ms)

    def _endpoint(self, endpoint: Endpoint) -> None:
        active = self._responses.active
        length_ms = endpoint.end_ms - endpoint.start_ms
        if active is not None and active.turn is None:
            active.turn, active.stirred_at = endpoint.turn, time.monotonic()
            active.question_ms = active.question_ms or length_ms
            if not self._config.manual and self._turns.speaking:
                self._turns.ended(self._client_ms(endpoint.start_ms), self._client_ms(endpoint.end_ms))
            else:
                self._turns.asked_last()
            return
        if self._config.manual:
            return  # nobody asked for it: its answer is stopped as it begins
        if active is not None:
            self._finish_before_turn(active)
        self._turns.ended(self._client_ms(endpoint.start_ms), self._client_ms(endpoint.end_ms))
        self._input.commit()
        self._input.answered()
        response = self._responses.create(self._config.output_format, turn=endpoint.turn)
        response.question_ms = length_ms

    def _answer(self, answer: AnswerEvent) -> None:
        active = self._responses.active
        mine = active is not None and active.turn == answer.turn
        match answer.event:
            case "started" if mine:
                self._responses.begin()
            case "started" | "resumed":
                # The client was told that it is over, or did not ask: an interruption is final in this protocol.
                self._core.say(type="interrupt")
            case "ended" if active is not None and mine:
                active.ends_at_ms, active.reason = answer.at_ms, answer.reason
                active.stirred_at = time.monotonic()
                if active.complete:
                    self._complete(active)
            case "interrupted" if active is not None and mine:
                self._stop_captioning()
                self._responses.finish(
                    "cancelled", "client_cancelled" if answer.reason == "client" else "turn_detected"
                )
                self._turns.tell()

    async def send_audio(self, frame: bytes) -> None:
        """Some of the answer."""
        down = parse_audio_down(frame)
        active = self._responses.active
        if down.generation != self._generation or active is None or active.turn is None:
            return
        self._playback.sent(len(down.payload) // BYTES_PER_MS, time.monotonic())
        self._responses.audio(down.payload)
        if active.complete:
            self._complete(active)

    # -- the end of an answer ------------------------------------------------------------------------------

    def _complete(self, response: Response) -> None:
        """All of it was sent; with transcripts it waits for the recogniser."""
        if self._caption is None or not response.pcm:
            self._finish(response, "")
        elif self._captioning is None:
            self._captioning = asyncio.create_task(self._transcribe(response, self._caption))

    async def _transcribe(self, response: Response, caption: Captioner) -> None:
        text = await caption(bytes(response.pcm))
        self._captioning = None
        self._finish(response, text)

    def _finish(self, response: Response, transcript: str) -> None:
        if self._responses.active is not response:
            return
        if response.reason == "limit":
            self._responses.finish("incomplete", "max_output_tokens", transcript=transcript)
        else:
            self._responses.finish("completed", transcript=transcript)
        self._turns.tell()

    def _finish_before_turn(self, response: Response) -> None:
        self._stop_captioning()
        if response.ends_at_ms is not None:
            self._finish(response, "")
        else:
            self._responses.finish("cancelled", "turn_detected")

    def _stop_captioning(self) -> None:
        if self._captioning is not None:
            self._captioning.cancel()
            self._captioning = None

    # -- saying --------------------------------------------------------------------------------------------

    def refuse(self, error: RealtimeError, event_id: str | None = None) -> None:
        """Say what was wrong."""
        told = {
            "type": error.kind,
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "event_id": error.event_id or event_id,
        }
        self._emit("error", error=told)

    async def _error(self, error: ErrorEvent) -> None:
        words = f"{error.message}; {error.hint}" if error.hint else error.message
        busy = error.fatal or not self.ready.is_set()
        self.refuse(RealtimeError(words, code=error.code, kind="server_error" if busy else "invalid_request_error"))
        if not error.fatal and not self.ready.is_set():
            # The session could not begin; the native protocol would wait for another greeting.
            await self.close(ErrorCode.BUSY.close_code)
            self._core.gone()

    def _emit(self, kind: ServerEventType, /, **fields: Any) -> None:
        self._out.put_nowait(json.dumps({"event_id": new_id("event"), "type": kind, **fields}, allow_nan=False))

    async def flushed(self) -> None:
        """Everything said so far has left."""
        await self._out.join()

    async def close(self, code: int) -> None:
        """The session is over."""
        if self.open:
            if self._responses.active is not None:
                self._stop_captioning()
                self._responses.finish("failed", "session_closed", message="the session ended")
            await self.flushed()
            self.open = False
            await self._send({"type": "websocket.close", "code": CLOSES.get(code, 1011)})
