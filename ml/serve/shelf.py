"""The models of this process: loaded at the start, and brought beside the running ones later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ml import s2s as speech
from ml.codec import CheckpointError, CodecConfig, TeluCodec, load_codec
from ml.codec.checkpoint import read_card
from ml.serve import wire
from ml.serve.stepper import CodecStepper
from ml.serve.talker import Talker

log = logging.getLogger(__name__)

TALK_CODEC = "dialogue"


class ShelfError(RuntimeError):
    """A model cannot be used; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server offers a session of one mode, told in ``opened``."""

    preset: str
    sample_rate: int
    hop: int
    delay_ms: float
    models: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and what is told of it."""

    model: Any
    card: dict[str, Any]

    @classmethod
    def described(cls, model: Any, preset: str, sha256: str, version: str = "") -> Loaded:
        return cls(model, {"preset": preset, "sha256": sha256, "version": version or sha256[:12]})


class Shelf:
    """Codecs and the S2S model on one device. ``load`` only adds; who serves with what is the engine's business."""

    def __init__(self, weights: Path, device: torch.device, capacity: int, promoted: Path | None = None) -> None:
        self.weights = weights
        self._promoted = promoted
        self._device = device
        self._capacity = capacity
        self.hifi: Loaded | None = None
        self.dialogue: Loaded | None = None
        self.s2s: Loaded | None = None
        self.no_talk = "talk is not served here"
        """Why there is no conversation, in words."""

    # -- at the start --------------------------------------------------------------------------------------

    def start(self, preset: str, s2s_preset: str, *, tiny_talk: bool = False) -> None:
        """The codec of mode reconstruct, and what talk needs, if it is there. Raises CheckpointError, ShelfError."""
        self.hifi = self._first(f"codec-{preset}.safetensors", preset, self._codec)
        if tiny_talk:
            self.dialogue, self.s2s = tiny_models(self._device)
            return
        try:
            self.dialogue = self._first(f"codec-{TALK_CODEC}.safetensors", TALK_CODEC, self._codec)
            self.s2s = self._first(f"s2s-{s2s_preset}.safetensors", s2s_preset, self._s2s)
            self._check_pair(self.dialogue, self.s2s)
        except (CheckpointError, ShelfError) as error:
            self.dialogue = self.s2s = None
            self.no_talk = f"talk is not served here: {error}"
            log.warning("%s", self.no_talk)

    def codec(self, preset: str) -> Loaded | None:
        """The newest codec of that preset, or None where it is not loaded."""
        for loaded in (self.hifi, self.dialogue):
            if loaded is not None and loaded.card["preset"] == preset:
                return loaded
        return None

    def stepper(self) -> CodecStepper:
        """State for mode reconstruct with the newest codec."""
        assert self.hifi is not None
        return CodecStepper(self.hifi.model, self._capacity, wire.FRAME_SAMPLES, self._device)

    def talker(self) -> Talker | None:
        """State for mode talk with the newest models; None where there are none."""
        if self.dialogue is None or self.s2s is None:
            return None
        return Talker(self.dialogue.model, self.s2s.model, self._capacity, self._device)

    def offers(self) -> dict[str, Offer]:
        """By mode."""
        assert self.hifi is not None
        found = {"reconstruct": _offer(self.hifi, {"codec": self.hifi.card})}
        if self.dialogue is not None and self.s2s is not None:
            config = self.s2s.model.config
            known = {"speakers": list(config.speakers), "emotions": list(config.emotions)}
            models = {"codec": self.dialogue.card, "s2s": {**self.s2s.card, **known}}
            found["talk"] = _offer(self.dialogue, models)
        return found

    # -- later ---------------------------------------------------------------------------------------------

    def load(self, request: wire.Load) -> tuple[str, Any]:
        """The mode that changes and its new model, warm. Runs beside the device thread; raises ShelfError."""
        path = Path(request.file)
        if not path.is_absolute() or path.suffix != ".safetensors":
            raise ShelfError(f"file {request.file!r} must be an absolute path of a .safetensors file")
        try:
            if str(read_card(path)["sha256"]) != request.sha256:
                raise ShelfError(f"the card of {path} has another sha256 than the one asked for; promote it again")
            if request.kind == "s2s":
                return self._replace_talk(self.dialogue, self._s2s(path, request.preset))
            codec = self._codec(path, request.preset)
        except (CheckpointError, OSError) as error:
            raise ShelfError(str(error)) from error
        if request.preset == TALK_CODEC:
            return self._replace_talk(codec, self.s2s)
        before, self.hifi = self.hifi, codec
        try:
            stepper = self.stepper()
            stepper.warm_up(1)
        except BaseException:
            self.hifi = before
            raise
        return "reconstruct", stepper

    def _replace_talk(self, codec: Loaded | None, s2s: Loaded | None) -> tuple[str, Any]:
        if codec is None or s2s is None:
            missing = "dialogue codec" if codec is None else "S2S model"
            raise ShelfError(
                f"a conversation also needs a {missing}, and none is loaded; put its weights in place first"
            )
        self._check_pair(codec, s2s)
        try:
            talker = Talker(codec.model, s2s.model, self._capacity, self._device)
            talker.warm_up(1)
        except (ValueError, RuntimeError) as error:
            raise ShelfError(f"the model does not run: {error}") from error
        self.dialogue, self.s2s = codec, s2s
        return "talk", talker

    # -- inside --------------------------------------------------------------------------------------------

    def _first(self, name: str, preset: str, load: Callable[[Path, str], Loaded]) -> Loaded:
        """What was promoted here, else what was shipped; damaged promoted weights do not keep anyone silent."""
        if self._promoted is not None and (self._promoted / name).exists():
            try:
                return load(self._promoted / name, preset)
            except (CheckpointError, ShelfError, OSError) as error:
                log.error("promoted weights are not used: %s", error)
        return load(self.weights / name, preset)

    def _codec(self, path: Path, preset: str) -> Loaded:
        codec = load_codec(path, self._device)
        config = codec.config
        frame = wire.FRAME_SAMPLES
        fits = not config.hop % frame if preset == TALK_CODEC else not frame % config.hop
        needed = "is a multiple of" if preset == TALK_CODEC else "divides"
        if config.sample_rate != wire.SAMPLE_RATE or not fits:
            raise ShelfError(
                f"{path} is for {config.sample_rate} Hz and hop {config.hop}; preset {preset!r} needs "
                f"{wire.SAMPLE_RATE} Hz and a hop that {needed} {frame}"
            )
        card = read_card(path)
        return Loaded.described(codec, preset, str(card["sha256"]), str(card.get("version") or ""))

    def _s2s(self, path: Path, preset: str) -> Loaded:
        model = speech.load_s2s(path, self._device)
        card = read_card(path)
        # the promoted one lies in the place of `preset`, and may be of another
        preset = str(card.get("preset") or preset)
        return Loaded.described(model, preset, str(card["sha256"]), str(card.get("version") or ""))

    @staticmethod
    def _check_pair(codec: Loaded, s2s: Loaded) -> None:
        if not s2s.model.speaks(codec.model.quantizer.codebooks):
            raise ShelfError(
                f"the S2S model speaks the codes of codec {s2s.model.codec_sha256[:12]}, and "
                f"{codec.card['sha256'][:12]} has other codebooks; use the codec that it was trained with"
            )


def tiny_models(device: torch.device, seed: int = 0) -> tuple[Loaded, Loaded]:
    """A dialogue codec and an S2S model of random weights, for tests and for work on everything around them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        codec = TeluCodec(CodecConfig.named("tiny-dialogue")).fold().to(device)
        model = speech.S2SModel(speech.S2SConfig.named("tiny", code_dim=codec.config.code_dim, max_frames=75))
    zeros = "0" * 64
    model.use_codebooks(codec.quantizer.codebooks, zeros)
    model = model.eval().requires_grad_(False).to(device)
    tiny = Loaded.described(codec, TALK_CODEC, zeros, "random")
    return tiny, Loaded.described(model, "tiny", zeros, "random")


def _offer(codec: Loaded, models: dict[str, Any]) -> Offer:
    config = codec.model.config
    delay_ms = 1000.0 * config.delay_samples / config.sample_rate
    return Offer(codec.card["preset"], config.sample_rate, config.hop, delay_ms, models)
