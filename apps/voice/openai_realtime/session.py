"""The session's configuration: what a client may set, merged deeply, and what that means to the platform."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from apps.speakers.aliases import speaker_slug
from apps.voice.openai_realtime.audio import RATES, Format
from apps.voice.openai_realtime.errors import RealtimeError, unsupported
from apps.voice.openai_realtime.server_events import new_id
from ml.serve.wire import Listen

EAGERNESS: dict[str, tuple[int, int]] = {
    "low": (480, 1200),
    "medium": (200, 1000),
    "auto": (200, 1000),
    "high": (200, 400),
}
"""Bounds of the silence that ends a turn, by how finished it sounds: ``semantic_vad`` in our terms."""
ENDPOINT_MS = (100, 5000)
PADDING_MS = (0, 1200)
"""As much from before the speech as the inference server keeps."""
SPEED = (0.5, 1.5)
IDLE_MS = (5000, 30_000)
"""As the original allows."""


def _tellable(value: Any) -> Any:
    """What is only told back has to be JSON: ``1e999`` parses, and would be an infinity."""
    json.dumps(value, allow_nan=False)
    return value


Anything: TypeAlias = Annotated[Any, AfterValidator(_tellable)]
Object: TypeAlias = Annotated[dict[str, Any], AfterValidator(_tellable)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class AudioFormat(_Part):
    """One of the three formats; PCM has 24 kHz only."""

    type: Format
    rate: int | None = None


class ServerVad(_Part):
    """Turns end after a silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    prefix_padding_ms: Annotated[int, Field(ge=0, le=10_000)] | None = None
    silence_duration_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: Annotated[int, Field(ge=0, le=3_600_000)] | None = None


class SemanticVad(_Part):
    """Turns end sooner when they sound finished."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


TurnDetection: TypeAlias = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class InputPatch(_Part):
    format: AudioFormat | None = None
    turn_detection: TurnDetection | None = None
    transcription: Object | None = None
    noise_reduction: Object | None = None


class OutputPatch(_Part):
    format: AudioFormat | None = None
    voice: str | Object | None = None
    speed: Annotated[float, Field(allow_inf_nan=False)] | None = None


class AudioPatch(_Part):
    input: InputPatch | None = None
    output: OutputPatch | None = None


class SessionPatch(_Part):
    """What ``session.update`` may carry; absent fields stay as they are."""

    type: Literal["realtime"] = "realtime"
    output_modalities: list[Literal["audio", "text"]] | None = None
    instructions: Annotated[str, Field(max_length=100_000)] | None = None
    audio: AudioPatch | None = None
    tools: Annotated[list[Object], Field(max_length=128)] | None = None
    tool_choice: Anything = None
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None
    truncation: Anything = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be chosen: slugs of voices (the first is the default) and of emotions."""

    speakers: tuple[str, ...]
    emotions: Collection[str]


class SessionConfig:
    """The configuration of one connection. ``effective`` is what the client is told."""

    def __init__(self, offer: Offer, model: str, *, transcripts: bool = True) -> None:
        self._offer = offer
        self.transcripts = transcripts
        """Whether the platform tells what was said, in letters."""
        pcm = {"type": "audio/pcm", "rate": 24_000}
        self._value: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": new_id("sess"),
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "audio": {
                "input": {
                    "format": dict(pcm),
                    "turn_detection": _detection(ServerVad()),
                    "transcription": None,
                    "noise_reduction": None,
                },
                "output": {"format": dict(pcm), "voice": offer.speakers[0], "speed": 1.0},
            },
        }

    @property
    def effective(self) -> dict[str, Any]:
        """A copy of all of it."""
        return copy.deepcopy(self._value)

    @property
    def manual(self) -> bool:
        """Turns are committed by the client."""
        return self._value["audio"]["input"]["turn_detection"] is None

    @property
    def input_format(self) -> Format:
        form: Format = self._value["audio"]["input"]["format"]["type"]
        return form

    @property
    def output_format(self) -> Format:
        form: Format = self._value["audio"]["output"]["format"]["type"]
        return form

    @property
    def transcribes(self) -> bool:
        """What the person said is to be transcribed."""
        return self._value["audio"]["input"]["transcription"] is not None

    def update(self, patch: SessionPatch) -> None:
        """Merge ``patch``, all or nothing. Raises :class:`RealtimeError`."""
        merged = copy.deepcopy(self._value)
        given = patch.model_dump(exclude_unset=True)
        self._check(patch)
        audio = given.pop("audio", None) or {}
        for name in ("instructions", "tools", "tool_choice", "max_output_tokens", "truncation"):
            if given.get(name) is not None:
                merged[name] = given[name]
        sides: dict[str, Any] = merged["audio"]
        for side in ("input", "output"):
            new: Mapping[str, Any] = audio.get(side) or {}
            for name, value in new.items():
                if name == "format":
                    if value is not None:
                        sides[side][name] = _format(value["type"])
                elif name == "turn_detection":
                    assert patch.audio is not None
                    assert patch.audio.input is not None
                    sides[side][name] = _merged_detection(sides[side][name], patch.audio.input.turn_detection)
                elif name == "transcription":
                    sides[side][name] = value if self.transcripts else None
                elif name == "noise_reduction" or value is not None:
                    sides[side][name] = value
        self._value = merged

    def wishes(self) -> dict[str, Any]:
        """The whole configuration in the words of the native protocol."""
        output = self._value["audio"]["output"]
        voice, _, emotion = str(output["voice"]).partition(":")
        wishes: dict[str, Any] = {"speaker": speaker_slug(voice), "rate": output["speed"]}
        if emotion:
            wishes["emotion"] = emotion
        detection = self._value["audio"]["input"]["turn_detection"]
        if detection is None:
            return {**wishes, "turn_taking": "push"}
        if detection["type"] == "semantic_vad":
            low, high = EAGERNESS[detection["eagerness"]]
        else:
            low = high = detection["silence_duration_ms"]
        return {**wishes, "turn_taking": "stream", "endpoint_min_ms": low, "endpoint_max_ms": high}

    def listening(self) -> Listen:
        """What counts as speech, and what follows from it, as the inference server is told."""
        detection = self._value["audio"]["input"]["turn_detection"]
        if detection is None:
            return Listen()
        return Listen(
            threshold=detection.get("threshold"),
            preroll_ms=detection.get("prefix_padding_ms"),
            answers=detection["create_response"],
            interruptible=detection["interrupt_response"],
        )

    @property
    def padding_ms(self) -> int:
        """How much of a turn's audio lies before its speech."""
        return self.listening().preroll_ms or 0

    @property
    def interrupts(self) -> bool:
        """Speech stops an answer."""
        return self.listening().interruptible

    @property
    def idle_timeout_s(self) -> float | None:
        """Silence after an answer that is answered, too."""
        found = (self._value["audio"]["input"]["turn_detection"] or {}).get("idle_timeout_ms")
        return None if found is None else found / 1000

    # -- inside --------------------------------------------------------------------------------------------

    def _check(self, patch: SessionPatch) -> None:
        if patch.output_modalities is not None and patch.output_modalities != ["audio"]:
            raise unsupported("session.output_modalities", 'the model speaks and does not write: use ["audio"]')
        if patch.tool_choice == "required":
            raise unsupported("session.tool_choice", "the model calls no tools: use auto or none")
        if patch.audio is None:
            return
        for side, part in (("input", patch.audio.input), ("output", patch.audio.output)):
            if part is not None and part.format is not None and part.format.rate not in (None, RATES[part.format.type]):
                rate = RATES[part.format.type]
                raise unsupported(f"session.audio.{side}.format.rate", f"{part.format.type} has {rate} Hz here")
        if patch.audio.output is not None:
            self._check_output(patch.audio.output)

    def _check_output(self, output: OutputPatch) -> None:
        if output.speed is not None and not SPEED[0] <= output.speed <= SPEED[1]:
            raise RealtimeError(f"speed: from {SPEED[0]} to {SPEED[1]}", param="session.audio.output.speed")
        if output.voice is None:
            return
        name, colon, emotion = output.voice.partition(":") if isinstance(output.voice, str) else ("", "", "")
        if speaker_slug(name) not in self._offer.speakers or (colon and emotion not in self._offer.emotions):
            voices, emotions = ", ".join(self._offer.speakers), ", ".join(sorted(self._offer.emotions))
            raise RealtimeError(
                f"voice: one of {voices}, or with an emotion as in {self._offer.speakers[0]}:happy (of {emotions})",
                param="session.audio.output.voice",
            )


def _format(kind: Format) -> dict[str, Any]:
    return {"type": kind, "rate": RATES[kind]} if kind == "audio/pcm" else {"type": kind}


def _given(detection: ServerVad | SemanticVad) -> dict[str, Any]:
    """What is given; durations as they can be applied, since the client is told those."""
    given = detection.model_dump(exclude_none=True)
    bounds = {"silence_duration_ms": ENDPOINT_MS, "prefix_padding_ms": PADDING_MS, "idle_timeout_ms": IDLE_MS}
    for name, (low, high) in bounds.items():
        if name in given:
            given[name] = min(high, max(low, given[name]))
    if "idle_timeout_ms" in detection.model_fields_set:
        given.setdefault("idle_timeout_ms", None)  # the one of them that null turns off
    return given


def _detection(detection: ServerVad | SemanticVad) -> dict[str, Any]:
    """With the protocol's defaults for what is not given."""
    given = _given(detection)
    common = {"create_response": True, "interrupt_response": True}
    if isinstance(detection, SemanticVad):
        return {"type": "semantic_vad", "eagerness": "auto", **common, **given}
    defaults = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500, "idle_timeout_ms": None}
    return {"type": "server_vad", **defaults, **common, **given}


def _merged_detection(before: dict[str, Any] | None, new: ServerVad | SemanticVad | None) -> dict[str, Any] | None:
    if new is None:
        return None
    if before is None or before["type"] != new.type:
        return _detection(new)
    return {**before, **_given(new)}
