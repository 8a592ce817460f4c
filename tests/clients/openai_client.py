"""The `openai` package talks to us: ``openai_client.py URL KEY SCENARIO QUESTION.pcm …``.

The questions hold PCM16LE at 24 kHz. Says what it saw as one JSON object: events in order, audio by item.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

CHUNK = 1920  # 40 ms
QUIET = bytes(CHUNK)


class Seen:
    """Events in order, and audio by item."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.audio: dict[str, bytes] = {}

    def add(self, event: Any) -> dict[str, Any]:
        told: dict[str, Any] = event.model_dump(mode="json")
        if told["type"] == "response.output_audio.delta":
            self.audio[told["item_id"]] = self.audio.get(told["item_id"], b"") + base64.b64decode(told.pop("delta"))
        self.events.append(told)
        return told

    def report(self) -> dict[str, Any]:
        return {"events": self.events, "audio": {k: base64.b64encode(v).decode() for k, v in self.audio.items()}}


async def until(connection: Any, seen: Seen, *kinds: str, count: int = 1) -> dict[str, Any]:
    async for event in connection:
        told = seen.add(event)
        if told["type"] in kinds:
            count -= 1
            if not count:
                return told
    raise RuntimeError(f"closed before {kinds}")


def b64(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()


async def microphone(connection: Any, said: asyncio.Queue[bytes]) -> None:
    """Real time; what is put into the queue is spoken, else there is silence."""
    loop = asyncio.get_running_loop()
    due, rest = loop.time(), b""
    while True:
        if not rest and not said.empty():
            rest = said.get_nowait()
        piece, rest = (rest[:CHUNK], rest[CHUNK:]) if rest else (QUIET, b"")
        await connection.input_audio_buffer.append(audio=b64(piece))
        due += CHUNK / 48_000
        await asyncio.sleep(max(0.0, due - loop.time()))


def manual(**more: Any) -> dict[str, Any]:
    transcription = {"model": "whisper-1"}
    return {"type": "realtime", "audio": {"input": {"turn_detection": None, "transcription": transcription}}, **more}


async def ask(connection: Any, question: bytes, **response: Any) -> None:
    """A manual turn."""
    await connection.input_audio_buffer.append(audio=b64(question))
    await connection.input_audio_buffer.commit()
    await connection.response.create(**({"response": response} if response else {}))


async def scenario_manual(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """Two turns; the second is half a question that is cleared, then a whole one in two pieces."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        await connection.session.update(session=manual())
        await ask(connection, questions[0], metadata={"turn": "one"})
        await until(connection, seen, "response.done")
        await connection.input_audio_buffer.append(audio=b64(questions[0][: len(questions[0]) // 4 * 2]))
        await connection.input_audio_buffer.clear()
        await until(connection, seen, "input_audio_buffer.cleared")
        half = len(questions[1]) // 4 * 2
        await connection.input_audio_buffer.append(audio=b64(questions[1][:half]))
        await ask(connection, questions[1][half:])
        await until(connection, seen, "response.done")


async def scenario_vad(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """A turn by silence, then one that is spoken over its answer, and truncated."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        detection = {"type": "server_vad", "silence_duration_ms": 700, "prefix_padding_ms": 200, "threshold": 0.6}
        heard = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": heard, "output": {"voice": "ravi:happy"}}}
        )
        said: asyncio.Queue[bytes] = asyncio.Queue()
        mic = asyncio.create_task(microphone(connection, said))
        said.put_nowait(questions[0])
        first = await until(connection, seen, "response.done")
        said.put_nowait(questions[1])
        delta = await until(connection, seen, "response.output_audio.delta", count=10)
        said.put_nowait(questions[2])
        await until(connection, seen, "input_audio_buffer.speech_started")
        await connection.conversation.item.truncate(item_id=delta["item_id"], content_index=0, audio_end_ms=3_600_000)
        await until(connection, seen, "conversation.item.truncated")
        await until(connection, seen, "response.done")
        mic.cancel()
        await connection.conversation.item.retrieve(item_id=first["response"]["output"][0]["id"])
        await until(connection, seen, "conversation.item.retrieved")


def listening(**detection: Any) -> dict[str, Any]:
    found = {"turn_detection": {"type": "server_vad", **detection}, "transcription": {"model": "whisper-1"}}
    return {"type": "realtime", "audio": {"input": found}}


async def scenario_unasked(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """A turn that the server finds and does not answer by itself; the client asks for the answer."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        await connection.session.update(session=listening(create_response=False))
        said: asyncio.Queue[bytes] = asyncio.Queue()
        mic = asyncio.create_task(microphone(connection, said))
        said.put_nowait(questions[0])
        await until(connection, seen, "conversation.item.input_audio_transcription.completed")
        await connection.response.create(response={"metadata": {"by": "client"}})
        await until(connection, seen, "response.done")
        mic.cancel()


async def scenario_goes_on(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """A question over an answer that it does not stop."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        await connection.session.update(session=listening(interrupt_response=False))
        said: asyncio.Queue[bytes] = asyncio.Queue()
        mic = asyncio.create_task(microphone(connection, said))
        said.put_nowait(questions[0])
        await until(connection, seen, "response.output_audio.delta", count=5)
        said.put_nowait(questions[1])
        await until(connection, seen, "response.done", count=2)
        mic.cancel()


async def scenario_idle(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """Nobody says anything after an answer."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        await connection.session.update(session=listening(idle_timeout_ms=5_000))
        said: asyncio.Queue[bytes] = asyncio.Queue()
        mic = asyncio.create_task(microphone(connection, said))
        said.put_nowait(questions[0])
        await until(connection, seen, "response.done")
        await until(connection, seen, "response.done")
        mic.cancel()


async def scenario_cancel(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """Cancel with nothing active, cancel in the middle, then an ordinary turn; a second create is refused."""
    async with client.realtime.connect(model="telugu-voice") as connection:
        await connection.session.update(session=manual())
        await connection.response.cancel()
        await until(connection, seen, "error")
        await ask(connection, questions[0])
        await connection.response.create()
        await until(connection, seen, "error")
        delta = await until(connection, seen, "response.output_audio.delta", count=5)
        await connection.response.cancel()
        await until(connection, seen, "response.done")
        await connection.conversation.item.truncate(item_id=delta["item_id"], content_index=0, audio_end_ms=120)
        await until(connection, seen, "conversation.item.truncated")
        await ask(connection, questions[1])
        await until(connection, seen, "response.done")


async def scenario_items(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """A question as an item with audio, in G.711 both ways; items are placed, told and deleted."""
    law = {"type": "audio/pcmu"}
    session = {
        "type": "realtime",
        "audio": {"input": {"format": law, "turn_detection": None}, "output": {"format": law}},
    }
    secret = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60}, session=session
    )
    browser = AsyncOpenAI(api_key=secret.value, base_url=client.base_url)
    async with browser.realtime.connect(model="telugu-voice") as connection:
        items = connection.conversation.item
        await items.create(
            item={"id": "text_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "ఇది"}]}
        )
        spoken = {"type": "input_audio", "audio": b64(questions[0])}
        await items.create(item={"id": "question_1", "type": "message", "role": "user", "content": [spoken]})
        await connection.response.create(response={"metadata": {"by": "item"}})
        await until(connection, seen, "response.done")
        await items.delete(item_id="text_1")
        await until(connection, seen, "conversation.item.deleted")
        await items.retrieve(item_id="text_1")
        await until(connection, seen, "error")
        await items.retrieve(item_id="question_1")
        await until(connection, seen, "conversation.item.retrieved")


async def scenario_reconnect(client: AsyncOpenAI, questions: list[bytes], seen: Seen) -> None:
    """The web process goes away under it (the test sees to that); the client comes back by itself."""
    async with client.realtime.connect(
        model="telugu-voice", on_reconnecting=lambda _: None, max_retries=20, initial_delay=0.5
    ) as connection:
        await until(connection, seen, "session.created")
        print("connected", file=sys.stderr, flush=True)
        await until(connection, seen, "session.created")
        await connection.session.update(session=manual())
        await ask(connection, questions[0])
        await until(connection, seen, "response.done")


async def main(url: str, key: str, name: str, questions: list[bytes]) -> None:
    seen = Seen()
    try:
        async with asyncio.timeout(90):
            await globals()[f"scenario_{name}"](AsyncOpenAI(api_key=key, base_url=url), questions, seen)
    except TimeoutError:
        print(f"too late; the last events: {seen.events[-8:]}", file=sys.stderr)
        raise
    print(json.dumps(seen.report()))


asyncio.run(main(*sys.argv[1:4], [Path(path).read_bytes() for path in sys.argv[4:]]))
