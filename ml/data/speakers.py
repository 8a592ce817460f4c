"""Who speaks: voice embeddings (GE2E, Wan et al. 2018), clusters of them, and the files that hold them by speaker.

The network and its weights are Resemblyzer's (Apache-2.0), read from its installed package: three LSTM layers over 40
mel bands give 256 numbers for 1.6 s of speech; equal voices point the same way. Only its weights file is used, loaded
without unpickling code.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor, nn

DIMENSION = 256
SAME_VOICE = 0.72
"""Mean cosine similarity from which clusters are one voice (average linkage)."""
_WINDOW, _STEP = 160, 77
"""Mel frames (10 ms) of one look, and between looks (1.3 a second)."""
_LEVEL_DB = -30.0
_CLUSTERED = 3_000
"""Embeddings that are clustered pair by pair; the rest joins the nearest cluster."""
Vector = NDArray[np.float32]


class SpeakerError(RuntimeError):
    """Embeddings cannot be made or read; the message says what to do."""


class VoiceEncoder(nn.Module):
    """Mel frames `[B, 160, 40]` to unit vectors `[B, 256]`."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, DIMENSION, 3, batch_first=True)
        self.linear = nn.Linear(DIMENSION, DIMENSION)

    def forward(self, mel: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mel)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / (raw.norm(dim=1, keepdim=True) + 1e-9)


@lru_cache(maxsize=1)
def _encoder() -> tuple[VoiceEncoder, torchaudio.transforms.MelSpectrogram]:
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or not spec.submodule_search_locations:
        raise SpeakerError("speaker embeddings need the package resemblyzer: pip install --no-deps resemblyzer")
    path = Path(next(iter(spec.submodule_search_locations))) / "pretrained.pt"
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        encoder = VoiceEncoder()
        wanted = encoder.state_dict().keys()
        encoder.load_state_dict({name: stored[name] for name in wanted})
    except (OSError, KeyError, RuntimeError) as error:
        raise SpeakerError(f"{path} cannot be used ({error}): install resemblyzer again") from None
    mel = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )
    return encoder.eval().requires_grad_(False), mel


def embed(audio: Vector) -> Vector:
    """Unit vector float32 [256] of who speaks in `audio` (float32 [T], 16 kHz; best 1.6 s or more)."""
    encoder, mel = _encoder()
    level = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
    scaled = audio * np.float32(10 ** (_LEVEL_DB / 20) / max(level, 1e-6))
    with torch.inference_mode():
        frames = mel(torch.from_numpy(np.ascontiguousarray(scaled, np.float32))).T
        if len(frames) < _WINDOW:
            frames = torch.nn.functional.pad(frames, (0, 0, 0, _WINDOW - len(frames)))
        starts = list(range(0, len(frames) - _WINDOW + 1, _STEP))
        looks = torch.stack([frames[start : start + _WINDOW] for start in starts])
        mean = encoder(looks).mean(0).numpy()
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-9), np.float32)


def mean_of(vectors: Sequence[Vector]) -> Vector:
    """The unit vector in the middle of unit vectors."""
    mean = np.mean(np.stack(vectors), axis=0)
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-9), np.float32)


def cluster(vectors: Sequence[Vector], threshold: float = SAME_VOICE) -> list[int]:
    """A number per vector: equal numbers are one voice; numbered by first appearance."""
    if not vectors:
        return []
    stacked = np.stack(vectors).astype(np.float64)
    sample = stacked[:_CLUSTERED]
    if len(sample) == 1:
        raw = np.array([1])
    else:
        raw = fcluster(linkage(sample, "average", metric="cosine"), 1.0 - threshold, "distance")
    if len(stacked) > len(sample):
        centres = np.stack([sample[raw == number].mean(0) for number in range(1, raw.max() + 1)])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        raw = np.concatenate([raw, 1 + np.argmax(stacked[len(sample) :] @ centres.T, axis=1)])
    numbers: dict[int, int] = {}
    return [numbers.setdefault(int(label), len(numbers)) for label in raw]


def write_embeddings(folder: Path, vectors: Mapping[str, Vector], about: Mapping[str, Mapping[str, object]]) -> None:
    """`speaker_embeddings.safetensors` (a vector per speaker) and `.json` (the same with what is known of each)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(vectors)
    tensors = folder / ".speaker_embeddings.partial"
    save_file({name: vectors[name].astype(np.float32) for name in names}, str(tensors))
    os.replace(tensors, folder / "speaker_embeddings.safetensors")
    told = {
        "encoder": "resemblyzer (GE2E)",
        "dimension": DIMENSION,
        "speakers": {
            name: {**about.get(name, {}), "embedding": [round(float(x), 6) for x in vectors[name]]} for name in names
        },
    }
    partial = folder / ".speaker_embeddings.json.partial"
    partial.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, folder / "speaker_embeddings.json")


def read_embeddings(folder: Path) -> dict[str, Vector]:
    """Speaker -> vector, as `write_embeddings` left them."""
    path = folder / "speaker_embeddings.safetensors"
    if not path.is_file():
        raise SpeakerError(f"{path} is missing: run python -m ml data speakers --out {folder}")
    found: dict[str, Vector] = load_file(str(path))
    return found


def product_voices(sentences: Iterable[str]) -> tuple[dict[str, Vector], dict[str, dict[str, object]]]:
    """Embeddings of the four voices, each the mean over `sentences` said neutrally, and what is known of them."""
    from ml.data.synthesis import VOICES, speak

    vectors, about = {}, {}
    said = list(sentences)
    for voice in VOICES:
        clips = [speak(text, voice=voice).audio for text in said]
        vectors[voice] = mean_of([embed(audio) for audio in clips])
        about[voice] = {"source": "synthesis", "clips": len(clips)}
    return vectors, about


def ingested_speakers(folder: Path, clips: int = 8) -> tuple[dict[str, Vector], dict[str, dict[str, object]]]:
    """Embeddings of the speakers of an ingest, from each one's `clips` longest; named FOLDER/SPEAKER."""
    from ml.audio.io import read_audio

    path = folder / "manifest.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        by_speaker: dict[str, list[dict[str, str]]] = {}
        for row in sorted(rows, key=lambda r: -float(r["seconds"])):
            if not row.get("augmented_from"):
                by_speaker.setdefault(row["speaker"], []).append(row)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpeakerError(f"{path} cannot be read ({error}): give the folder of an ingest") from None
    vectors: dict[str, Vector] = {}
    about: dict[str, dict[str, object]] = {}
    for speaker, held in by_speaker.items():
        name = f"{folder.name}/{speaker}"
        vectors[name] = mean_of([embed(read_audio(folder / row["audio"])) for row in held[:clips]])
        about[name] = {"source": folder.name, "clips": len(held), "licence": held[0].get("licence", "")}
    return vectors, about
