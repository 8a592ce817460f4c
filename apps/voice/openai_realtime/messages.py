"""Items that a client creates: text is kept and told back, but the model hears only what was spoken."""

from __future__ import annotations

from apps.voice.openai_realtime.audio import Decoder, decode_base64, duration_ms
from apps.voice.openai_realtime.buffer import TURN_MS, InputBuffer
from apps.voice.openai_realtime.client_events import ContentIn, ItemCreate
from apps.voice.openai_realtime.errors import RealtimeError, unsupported
from apps.voice.openai_realtime.items import Conversation
from apps.voice.openai_realtime.server_events import Content
from apps.voice.openai_realtime.session import SessionConfig
from apps.voice.openai_realtime.turns import Turns


class ItemReader:
    """Carries out ``conversation.item.create``."""

    def __init__(self, conversation: Conversation, turns: Turns, buffer: InputBuffer) -> None:
        self._conversation = conversation
        self._turns = turns
        self._input = buffer

    def create(self, event: ItemCreate, config: SessionConfig) -> None:
        """Add the item; audio of the person in it is a question, or a part of one. Raises :class:`RealtimeError`."""
        given = event.item
        if given.type != "message":
            raise unsupported("item.type", "the model calls no functions: create messages")
        if given.role is None:
            raise RealtimeError(
                "item.role: user, assistant or system", code="missing_required_parameter", param="item.role"
            )
        pcm = self._audio(given.content, config) if given.role == "user" else b""
        item = self._conversation.message(given.role, [_content(part) for part in given.content], item_id=given.id)
        self._conversation.check_place(item["id"], event.previous_item_id)
        if pcm:
            self._input.add(pcm)
            self._turns.waits(item["id"])
        self._conversation.add(item, event.previous_item_id)
        self._conversation.done(item)

    def _audio(self, content: list[ContentIn], config: SessionConfig) -> bytes:
        parts = [part.audio for part in content if part.type in ("input_audio", "audio") and part.audio]
        if not parts:
            return b""
        if not config.manual:
            raise unsupported(
                "item.content", "audio in items needs manual turns: set audio.input.turn_detection to null"
            )
        if sum(duration_ms(len(part), config.input_format) for part in parts) > TURN_MS:
            raise RealtimeError(f"item.content: at most {TURN_MS // 1000} s of audio", param="item.content")
        decoder = Decoder(config.input_format)
        return b"".join(decoder.feed(decode_base64(part, "item.content.audio")) for part in parts) + decoder.flush()


def _content(part: ContentIn) -> Content:
    if part.type == "input_image":
        raise unsupported("item.content", "the model sees nothing: send audio or text")
    told = Content(type=part.type)
    if part.text is not None:
        told["text"] = part.text
    if part.type in ("input_audio", "output_audio", "audio"):
        told["transcript"] = part.transcript
    return told
