"""JSON messages of a conversation from their members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

from ml.serve.fields import JsonObject
from ml.serve.talk_messages import (
    Answer,
    Answered,
    Endpoint,
    Forget,
    Key,
    KeyEvent,
    Listen,
    Load,
    Loaded,
    LoadFailed,
    TurnTaking,
    Voice,
)

_U32_MAX = 2**32 - 1
_MAX_VOICES = 64


def voice_of(obj: JsonObject) -> Voice:
    """Members of `Voice`; a missing one has its default, a wrong one raises WireError."""
    speakers = obj.numbers("speakers")
    if len(speakers) > _MAX_VOICES or any(not 0.0 <= weight <= 1.0 for weight in speakers.values()):
        raise obj.bad("speakers", f"at most {_MAX_VOICES} weights from 0 to 1")

    def dial(name: str, low: float, high: float, default: float) -> float:
        return obj.bounded(name, low, high) if obj.has(name) else default

    return Voice(
        speakers=speakers,
        emotion=obj.text("emotion", 64) if obj.has("emotion") else "neutral",
        intensity=dial("intensity", 0.0, 1.0, 1.0),
        pitch_semitones=dial("pitch_semitones", -24.0, 24.0, 0.0),
        energy_db=dial("energy_db", -24.0, 24.0, 0.0),
        rate=dial("rate", 0.25, 4.0, 1.0),
        accent=dial("accent", 0.0, 1.0, 0.0),
    )


def optional_voice(obj: JsonObject) -> Voice | None:
    """Member ``voice``, if it is there."""
    return voice_of(obj.child("voice")) if obj.has("voice") else None


def turn_taking(obj: JsonObject) -> TurnTaking | None:
    """Member ``turn_taking``, if it is there."""
    if not obj.has("turn_taking"):
        return None
    chosen = obj.choice("turn_taking", ("stream", "turn", "push"))
    return "stream" if chosen == "stream" else "turn" if chosen == "turn" else "push"


def _key(obj: JsonObject) -> Key:
    return Key(cast(KeyEvent, obj.choice("event", get_args(KeyEvent))))


def _listen(obj: JsonObject) -> Listen:
    return Listen(
        threshold=obj.bounded("threshold", 0.0, 1.0) if obj.has("threshold") else None,
        preroll_ms=obj.optional_integer("preroll_ms", 0, 60_000),
        **{name: obj.boolean(name) for name in ("answers", "interruptible") if obj.has(name)},
    )


def _load(obj: JsonObject) -> Load:
    kind = obj.choice("kind", ("codec", "s2s"))
    return Load(
        kind="codec" if kind == "codec" else "s2s",
        preset=obj.text("preset", 64),
        file=obj.text("file", 4096),
        sha256=obj.text("sha256", 64),
    )


def _endpoint(obj: JsonObject) -> Endpoint:
    return Endpoint(
        **{name: obj.integer(name, 0, _U32_MAX) for name in ("turn", "start_ms", "end_ms", "decided_ms")},
        reason=obj.text("reason", 64),
        finished=obj.number("finished"),
        answered=cast(Answered, obj.choice("answered", get_args(Answered))) if obj.has("answered") else "now",
    )


def _answer(obj: JsonObject) -> Answer:
    events: dict[str, Any] = {name: name for name in ("started", "ended", "interrupted", "resumed")}
    return Answer(
        turn=obj.integer("turn", 0, _U32_MAX),
        event=events[obj.choice("event", tuple(events))],
        at_ms=obj.integer("at_ms", 0, _U32_MAX),
        reason=obj.text("reason", 64),
        latency=obj.numbers("latency"),
        plan=obj.optional_integer("plan", 0, _U32_MAX),
    )


def _loaded(obj: JsonObject) -> Loaded:
    return Loaded(kind=obj.text("kind", 64), models=obj.mapping("models"))


def _load_failed(obj: JsonObject) -> LoadFailed:
    return LoadFailed(code=obj.text("code", 64), message=obj.text("message", 4096))


TALK_CLIENT: dict[str, Callable[[JsonObject], Key | Listen | Forget | Load]] = {
    "key": _key,
    "listen": _listen,
    "forget": lambda _: Forget(),
    "load": _load,
}
TALK_SERVER: dict[str, Callable[[JsonObject], Endpoint | Answer | Loaded | LoadFailed]] = {
    "endpoint": _endpoint,
    "answer": _answer,
    "loaded": _loaded,
    "load_failed": _load_failed,
}
