"""A hundred thousand messages that no client should send: each is carried out or answered by a valid error."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.support.realtime_world import World, b64, noise

COUNT, BATCH = 100_000, 250
JUNK: list[Any] = [
    None, True, -1, 0, 10**30, 1.5, "", "x", "*", "\x00", "ఏమిటి", "\U0001f600", "\\ud800", [], {}, [[]], {"": ""},
    "A" * 4_000, ["a"] * 200, {"type": "server_vad"}, {"type": "message"}, "audio/pcm", "item_1", "root",
]  # fmt: skip
RAW = [
    "", " ", "{", "[]", "null", "1e999", '"', "{}", '{"type":1}', "[" * 3_000, "\ud800",
    '{"a":' * 300 + "1" + "}" * 300,
    '{"type":"session.update","session":{"type":"realtime","truncation":1e999}}',
    '{"type":"session.update","session":{"type":"realtime","tool_choice":' + "9" * 5_000 + "}}",
    '{"type":"input_audio_buffer.append","audio":NaN}', '{"type":"response.create","type":"x"}', "\x00" * 40,
]  # fmt: skip


def valid(random_: random.Random, spoken: list[str]) -> dict[str, Any]:
    """A message that makes sense, at least by itself."""
    item_id = f"item_{random_.randrange(20)}"
    detection = random_.choice([None, {"type": "server_vad", "threshold": random_.random()}, {"type": "semantic_vad"}])
    form = {"type": random_.choice(["audio/pcm", "audio/pcmu", "audio/pcma"])}
    audio = {"input": {"turn_detection": detection, "format": form}, "output": {"voice": "ravi:happy"}}
    part = random_.choice([{"type": "input_text", "text": "x"}, {"type": "input_audio", "audio": spoken[0]}])
    item = {"id": item_id, "type": "message", "role": random_.choice(["user", "assistant"]), "content": [part]}
    kinds: list[dict[str, Any]] = [
        {"type": "session.update", "session": {"type": "realtime", "audio": audio, "tools": []}},
        *[{"type": "input_audio_buffer.append", "audio": random_.choice(spoken)}] * 4,
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "conversation.item.create", "previous_item_id": random_.choice([None, "root", item_id]), "item": item},
        {"type": "conversation.item.retrieve", "item_id": item_id},
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": 10},
        {"type": "conversation.item.delete", "item_id": item_id},
        {"type": "response.create", "response": {"metadata": {"a": "b"}, "output_modalities": ["audio"]}},
        {"type": "response.cancel"},
    ]
    return {**random_.choice(kinds), "event_id": f"client_{random_.randrange(1_000)}"}


def spoilt(random_: random.Random, value: Any) -> Any:
    """The same with something in it replaced, left out or added."""
    if isinstance(value, dict) and value and random_.random() < 0.8:
        name = random_.choice(list(value))
        changed = dict(value)
        if random_.random() < 0.2:
            del changed[name]
        else:
            changed[name] = spoilt(random_, value[name])
        return changed
    if isinstance(value, list) and value and random_.random() < 0.5:
        return [*value[:-1], spoilt(random_, value[-1])]
    if isinstance(value, str) and random_.random() < 0.5:
        at = random_.randrange(len(value) + 1)
        return value[:at] + random_.choice(["=", "*", "\n", "é", "A", ""]) + value[at + random_.randrange(3) :]
    return random_.choice(JUNK)


def message(random_: random.Random, spoken: list[str]) -> str:
    chance = random_.random()
    if chance < 0.05:
        return random_.choice(RAW)
    found = valid(random_, spoken)
    if chance > 0.25:
        found = spoilt(random_, found)
    text = json.dumps(found, ensure_ascii=random_.random() < 0.5)
    if chance > 0.85:
        at = random_.randrange(len(text) + 1)
        text = text[:at] + chr(random_.randrange(32, 400)) * random_.randrange(2) + text[at + random_.randrange(3) :]
    return text


def test_a_hundred_thousand_messages_are_carried_out_or_answered_by_an_error() -> None:
    random_ = random.Random(10)
    spoken = [b64(noise(ms)) for ms in (20, 100, 200)] + [b64(noise(60, amplitude=20)), b64(b"odd")]
    world = World(answer_ms=200)

    async def hear(texts: list[str]) -> None:
        for text in texts:
            world.side.hear(text)

    for _ in range(COUNT // BATCH):
        texts = [message(random_, spoken) for _ in range(BATCH)]
        errors = len(world.model.errors)
        world.run(hear(texts))
        world.wait(0.2)
        unparsable = sum(not _is_json(text) for text in texts)
        assert len(world.model.errors) - errors >= unparsable, "what is no JSON is answered"
        world.events.clear()  # the model has judged them
    assert world.close_code is None
    world.settle()
    world.manual()
    world.wait(0.1)
    world.say("input_audio_buffer.clear")
    done = len(world.model.done)
    world.append(noise(300, rate=24_000))
    world.say("session.update", session={"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm"}}}})
    world.ask()
    world.settle()
    assert [response["status"] for response in world.model.done[done:]] == ["completed"], "and all is well"
    world.close()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
