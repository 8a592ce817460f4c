"""Trained text-to-speech models behind the same clip: MMS-TTS / VITS and Parler-TTS, from a local path or a hub id.

`transformers` (and for Parler-TTS its own package) is imported on use: making data with the built-in engines needs
neither. These models do not tell phones' times, so the words' phones are laid over the voiced stretch in proportion to
their usual lengths; `HubClip.timing` says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from scipy import signal

from ml.data.synthesis.colour import LEVEL_DB, fade, level
from ml.data.synthesis.g2p import analyse
from ml.data.synthesis.normalise import normalise
from ml.data.synthesis.phones import SILENCE, TimedPhone
from ml.data.synthesis.prosody import NEUTRAL, plan
from ml.data.synthesis.speech import LEAD, TAIL, seeded
from ml.data.synthesis.types import SAMPLE_RATE, Audio, Controls, SpokenClip, SynthesisError

MMS_TELUGU = "facebook/mms-tts-tel"
"""The hub id of Meta's VITS for Telugu (weights CC BY-NC 4.0: not for commercial use)."""
PARLER_INDIC = "ai4bharat/indic-parler-tts"
"""The hub id of a Parler-TTS that speaks Telugu (Apache-2.0, gated: accept its terms and log in)."""


@dataclass(frozen=True)
class HubClip(SpokenClip):
    """A clip whose phones are placed by estimate."""

    timing: Literal["estimated"] = "estimated"


class HubEngine(Protocol):
    """What both kinds of model offer."""

    name: str

    def say(self, text: str, *, seed: int = 0, rate: float = 1.0, speaker: str = "") -> HubClip:
        """Say ``text``; ``speaker`` is a number (VITS) or a description in English (Parler)."""


def _need(package: str, what: str) -> None:
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        raise SynthesisError(f"{what} needs the package {package}: pip install {package}")


def _open(load: Any, source: str | Path, what: str, **options: Any) -> Any:
    """``load(source)``, with what can go wrong said in one line."""
    if isinstance(source, Path) or str(source).startswith((".", "/", "~")):
        folder = Path(source).expanduser()
        if not (folder / "config.json").is_file():
            raise SynthesisError(f"{folder} holds no {what}: give the folder with config.json, weights and tokenizer")
        source = str(folder)
    try:
        return load(source, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        why = re.sub(r"\s+", " ", str(error))[:300]
        hint = ""
        if re.search(r"gated|401|403", why):
            hint = (
                " The model is gated: accept its terms on its page and log in (hf auth login), or give a local folder."
            )
        raise SynthesisError(f"{what} {source} cannot be opened: {why}.{hint}") from error


class VitsEngine:
    """A VITS model, such as MMS-TTS Telugu."""

    def __init__(self, source: str | Path = MMS_TELUGU, *, device: str = "cpu") -> None:
        _need("transformers", "VITS")
        from transformers import AutoTokenizer, VitsModel

        self.name = f"vits:{Path(str(source)).name}"
        self._tokenizer = _open(AutoTokenizer.from_pretrained, source, "VITS tokenizer")
        self._model = _open(VitsModel.from_pretrained, source, "VITS model", use_safetensors=True).to(device).eval()

    def say(self, text: str, *, seed: int = 0, rate: float = 1.0, speaker: str = "") -> HubClip:
        """Say ``text``; the same arguments give the same samples on the same machine."""
        import torch

        plain = _sayable(text)
        inputs = self._tokenizer(plain, return_tensors="pt").to(self._model.device)
        if not inputs["input_ids"].shape[-1]:
            raise SynthesisError(f"{self.name} knows none of the letters of: {plain[:80]}")
        options: dict[str, Any] = {}
        speakers = int(self._model.config.num_speakers)
        if speaker:
            if not speaker.isdigit() or int(speaker) >= speakers:
                raise SynthesisError(f"{self.name} has speakers 0 to {speakers - 1}, not {speaker!r}")
            options["speaker_id"] = int(speaker)
        self._model.speaking_rate = rate
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed)
            wave = self._model(**inputs, **options).waveform[0]
        audio = wave.float().cpu().numpy()
        return _clip(audio, int(self._model.config.sampling_rate), text, self.name, speaker or "0", rate, seed)


class ParlerEngine:
    """A Parler-TTS model: the voice is described in English."""

    def __init__(self, source: str | Path = PARLER_INDIC, *, device: str = "cpu") -> None:
        _need("transformers", "Parler-TTS")
        _need("parler-tts", "Parler-TTS")
        from transformers import AutoTokenizer

        model = importlib.import_module("parler_tts").ParlerTTSForConditionalGeneration
        self.name = f"parler:{Path(str(source)).name}"
        self._model = _open(model.from_pretrained, source, "Parler-TTS model").to(device)
        self._model.eval()
        self._tokenizer = _open(AutoTokenizer.from_pretrained, source, "Parler-TTS tokenizer")
        describer = self._model.config.text_encoder._name_or_path
        self._describer = _open(AutoTokenizer.from_pretrained, describer, "description tokenizer")

    def say(self, text: str, *, seed: int = 0, rate: float = 1.0, speaker: str = "") -> HubClip:
        """Say ``text`` as ``speaker`` describes; ``rate`` becomes a word of the description."""
        import torch

        plain = _sayable(text)
        pace = "slow" if rate < 0.9 else "fast" if rate > 1.1 else "moderate"
        described = speaker or "A clear voice speaks close to the microphone, without noise"
        described = f"{described.rstrip('. ')}. The pace is {pace}."
        device = self._model.device
        described_ids = self._describer(described, return_tensors="pt").to(device)
        prompt = self._tokenizer(plain, return_tensors="pt").to(device)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed)
            wave = self._model.generate(
                input_ids=described_ids.input_ids,
                attention_mask=described_ids.attention_mask,
                prompt_input_ids=prompt.input_ids,
                prompt_attention_mask=prompt.attention_mask,
            )
        audio = wave.float().cpu().numpy().reshape(-1)
        return _clip(audio, int(self._model.config.sampling_rate), text, self.name, described, rate, seed)


def _sayable(text: str) -> str:
    plain = normalise(text).text
    if not analyse(text).words:
        raise SynthesisError("there is nothing to say: the text has no Telugu letters, digits or Latin words")
    return plain


def _clip(audio: Audio, native: int, text: str, engine: str, speaker: str, rate: float, seed: int) -> HubClip:
    """Samples of a model as a clip: 16 kHz, level, our silence at both ends, phones by estimate."""
    audio = np.nan_to_num(np.asarray(audio, dtype=np.float32))
    if native != SAMPLE_RATE:
        common = int(np.gcd(native, SAMPLE_RATE))
        audio = signal.resample_poly(audio, SAMPLE_RATE // common, native // common).astype(np.float32)
    loud = np.flatnonzero(np.abs(audio) > 0.02 * max(float(np.abs(audio).max(initial=0.0)), 1e-6))
    if not len(loud):
        raise SynthesisError(f"{engine} made no sound for: {text[:80]}")
    voice = level(audio[loud[0] : loud[-1] + 1], LEVEL_DB)
    ends = [np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32) for seconds in (LEAD, TAIL)]
    whole = np.concatenate((ends[0], fade(voice.copy()), ends[1]))
    controls = Controls(rate=float(np.clip(rate, 0.6, 1.7)))
    return HubClip(whole, estimated(text, len(voice) / SAMPLE_RATE, seed), text, speaker, "neutral", controls, engine)


def estimated(text: str, seconds: float, seed: int = 0) -> tuple[TimedPhone, ...]:
    """Phones of ``text`` over ``seconds`` of speech between our silences, in proportion to their usual lengths."""
    sounds = plan(analyse(text), NEUTRAL, seeded("estimate", text, seed))
    scale = seconds / sum(sound.duration for sound in sounds)
    phones = [TimedPhone(SILENCE, 0.0, LEAD)]
    for sound in sounds:
        start = phones[-1].end
        phones.append(TimedPhone(sound.symbol, start, start + sound.duration * scale))
    phones.append(TimedPhone(SILENCE, phones[-1].end, LEAD + seconds + TAIL))
    return tuple(phones)
