"""What a client's events do."""

from __future__ import annotations

from apps.voice.native import TAIL_FRAMES
from apps.voice.openai_realtime import client_events as client
from apps.voice.openai_realtime.buffer import SHORTEST_MS
from apps.voice.openai_realtime.client_events import ClientEvent, parse
from apps.voice.openai_realtime.connection import SILENCE_FRAMES, Connection
from apps.voice.openai_realtime.endings import Endings
from apps.voice.openai_realtime.errors import RealtimeError, unsupported
from apps.voice.openai_realtime.messages import ItemReader
from apps.voice.openai_realtime.session import SessionPatch


class Commands:
    """Carries out events, at once; whatever is wrong with one is answered by an ``error`` event and changes nothing."""

    def __init__(self, connection: Connection, endings: Endings) -> None:
        self._it = connection
        self._endings = endings
        self._items = ItemReader(connection.conversation, connection.turns, connection.input)

    def hear(self, text: str) -> None:
        """A message of the client."""
        event_id: str | None = None
        try:
            event = parse(text)
            event_id = event.event_id
            self._carry_out(event)
        except RealtimeError as error:
            self._it.out.refuse(error, event_id)

    def _carry_out(self, event: ClientEvent) -> None:
        it = self._it
        match event:
            case client.SessionUpdate():
                self._update(event.session)
            case client.Append():
                it.input.append(event.audio, manual=it.config.manual)
            case client.Commit():
                self._commit()
            case client.Clear():
                self._clear()
            case client.ItemCreate():
                self._items.create(event, it.config)
            case client.ItemRetrieve():
                it.conversation.retrieve(event.item_id)
            case client.ItemTruncate():
                heard = it.conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
                if heard is not None:
                    it.core.truncate(*heard)
            case client.ItemDelete():
                it.conversation.delete(event.item_id)
            case client.ResponseCreate():
                self._create(event.response or client.ResponseIn())
            case client.ResponseCancel():
                active = it.responses.active
                if active is None or event.response_id not in (None, active.id):
                    raise RealtimeError("no response is in progress", code="response_cancel_not_active")
                self._endings.stop("cancelled", "client_cancelled")

    def _update(self, patch: SessionPatch) -> None:
        it = self._it
        was_manual = it.config.manual
        it.config.update(patch)
        it.input.change_format(it.config.input_format)
        if was_manual and not it.config.manual:
            it.input.start_anew()
            it.core.release("cancel")
        elif not was_manual and it.config.manual and it.turns.abandon():
            it.drop_turn()
        it.out.emit("session.updated", session=it.config.effective)
        it.tuning.follow()

    def _commit(self) -> None:
        it = self._it
        if it.input.pending_ms < SHORTEST_MS:
            raise RealtimeError(
                f"the buffer holds {it.input.pending_ms:.0f} ms: append at least {SHORTEST_MS} ms, then commit",
                code="input_audio_buffer_commit_empty",
            )
        it.input.commit()
        if it.config.manual:
            it.turns.committed()
        else:  # the turn ends now instead of after its silence; what follows comes as after any other
            it.order_end(None, TAIL_FRAMES)

    def _clear(self) -> None:
        it = self._it
        if not it.config.manual:
            it.input.drop()
            if it.turns.abandon():
                it.drop_turn()
        if it.input.clear():
            it.core.release("cancel")
        it.out.emit("input_audio_buffer.cleared")

    def _create(self, wish: client.ResponseIn) -> None:
        it = self._it
        if it.responses.active is not None:
            raise RealtimeError(
                f"response {it.responses.active.id} is in progress: wait for response.done, or cancel it",
                code="conversation_already_has_active_response",
            )
        if wish.conversation not in (None, "auto"):
            raise unsupported("response.conversation", "there is one conversation: use auto")
        if wish.input:
            raise unsupported("response.input", "the model answers what it has heard: leave it out")
        if wish.output_modalities not in (None, ["audio"]):
            raise unsupported("response.output_modalities", 'the model speaks and does not write: use ["audio"]')
        response = it.responses.create(it.config.output_format, metadata=wish.metadata)
        response.question_ms = it.input.committed_ms
        later, heard = it.input.take_back()  # appended and not committed: no part of this question
        if heard:
            it.core.release("cancel")
        said = it.input.committed_ms or it.turns.speaking
        if it.waiting is not None and it.waiting.unasked and not said:
            response.waited, it.waiting = it.waiting, None
            it.responses.asked()
        elif it.waiting is not None and not said:
            it.order_end(response, 0)
        else:
            it.order_end(response, TAIL_FRAMES if said else SILENCE_FRAMES)
        if later:
            it.input.put(later, manual=True)
