"""Codec codes of every clip, cached beside the pairs: made once per codec, added to when clips are added.

    codes/<key12>/index.json                 {"key": …, "clips": {clip id: [shard, first frame, frames, sha256 of the FLAC (8 digits)]}}
    codes/<key12>/shard-00000.safetensors    "codes": uint16 [levels, frames of all its clips end to end]

The key is the sha256 of encoder and codebooks: a decoder that is trained on reads the same codes.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.audio.io import SAMPLE_RATE, read_audio
from ml.codec.model import TeluCodec
from ml.data.pairs.schema import ClipRow
from ml.data.pairs.sizes import PairsError
from ml.data.pairs.store import read_manifest
from ml.data.progress import Tell, silent

SHARD_CLIPS = 2_048
BATCH_SECONDS = 60.0
"""Audio in one batch, padding included."""


@dataclass(frozen=True, slots=True)
class CodesReport:
    """What a run did."""

    key: str
    clips: int
    encoded: int
    seconds: float
    audio_seconds: float


def codes_key(codec: TeluCodec) -> str:
    """sha256 (hex) of what decides a clip's codes: the encoder's weights and the codebooks."""
    told = hashlib.sha256()
    for name, tensor in sorted(codec.state_dict().items()):
        if name.startswith("encoder.") or name == "quantizer.codebooks":
            told.update(name.encode())
            told.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return told.hexdigest()


def codes_folder(folder: Path, key: str) -> Path:
    """Where the codes of one codec lie."""
    return folder / "codes" / key[:12]


def read_index(folder: Path, key: str) -> dict[str, list[Any]]:
    """Clip id -> [shard, first frame, frames, first digits of the FLAC's sha256]; {} where there is none."""
    path = codes_folder(folder, key) / "index.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["clips"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PairsError(f"{path} cannot be read ({error}): delete its folder and make the codes again") from None


def make_codes(folder: Path, codec: TeluCodec, tell: Tell = silent) -> CodesReport:
    """Encode every clip of the manifest that has no codes of this codec yet; may be killed and run again.

    Raises PairsError (no manifest, a full disk) and AudioError (a clip that cannot be read).
    """
    began = time.monotonic()
    key = codes_key(codec)
    _, clips, _ = read_manifest(folder)
    target = codes_folder(folder, key)
    target.mkdir(parents=True, exist_ok=True)
    index = read_index(folder, key)
    index = {clip_id: entry for clip_id, entry in index.items() if (target / _shard(entry[0])).is_file()}
    missing = [clip for clip in clips if clip.id not in index or index[clip.id][3] != clip.sha256[:8]]
    number = 1 + max((int(p.stem.split("-")[1]) for p in target.glob("shard-*.safetensors")), default=-1)
    done, audio_seconds = 0, 0.0
    for start in range(0, len(missing), SHARD_CLIPS):
        part = missing[start : start + SHARD_CLIPS]
        made: dict[str, NDArray[np.uint16]] = {}
        for batch in _batches(part):
            made.update(_encode(folder, codec, batch))
            done += len(batch)
            audio_seconds += sum(clip.samples for clip in batch) / SAMPLE_RATE
            tell(done, len(missing), "encode", audio_seconds=round(audio_seconds, 1))
        at = 0
        for clip in part:
            frames = made[clip.id].shape[1]
            index[clip.id] = [number, at, frames, clip.sha256[:8]]
            at += frames
        try:
            partial = target / ".shard.partial"
            save_file({"codes": np.concatenate([made[clip.id] for clip in part], axis=1)}, str(partial))
            os.replace(partial, target / _shard(number))
            _write_index(target, key, index)
        except OSError as error:
            raise PairsError(f"{target} cannot be written ({error}): free some space, then run it again") from None
        number += 1
    return CodesReport(key, len(clips), done, time.monotonic() - began, audio_seconds)


def _shard(number: int) -> str:
    return f"shard-{number:05d}.safetensors"


def _write_index(target: Path, key: str, index: dict[str, list[Any]]) -> None:
    partial = target / ".index.partial"
    partial.write_text(json.dumps({"key": key, "clips": index}), encoding="utf-8")
    os.replace(partial, target / "index.json")


def _batches(clips: Sequence[ClipRow]) -> Iterator[list[ClipRow]]:
    """Clips of like length together, at most BATCH_SECONDS with padding."""
    held: list[ClipRow] = []
    for clip in sorted(clips, key=lambda c: -c.samples):
        if held and (len(held) + 1) * held[0].samples > BATCH_SECONDS * SAMPLE_RATE:
            yield held
            held = []
        held.append(clip)
    if held:
        yield held


def _encode(folder: Path, codec: TeluCodec, clips: list[ClipRow]) -> dict[str, NDArray[np.uint16]]:
    """Codes uint16 [levels, ceil((samples + delay) / hop)] of each clip; the codec is causal: padding is harmless."""
    audio = np.zeros((len(clips), max(clip.samples for clip in clips)), np.float32)
    for row, clip in enumerate(clips):
        samples = read_audio(folder / clip.path)
        if len(samples) != clip.samples:
            raise PairsError(f"{folder / clip.path} is not what the manifest tells: delete it and make the pairs again")
        audio[row, : clip.samples] = samples
    device = codec.quantizer.codebooks.device
    with torch.inference_mode():
        codes = codec.encode(torch.from_numpy(audio).to(device)).cpu().numpy().astype(np.uint16)
    config = codec.config
    frames = [-(-(clip.samples + config.delay_samples) // config.hop) for clip in clips]
    return {clip.id: codes[row, :, :count] for row, (clip, count) in enumerate(zip(clips, frames, strict=True))}


def read_codes(folder: Path, key: str, wanted: set[str]) -> dict[str, NDArray[np.uint16]]:
    """Codes of the clips in `wanted` that have any. Raises PairsError."""
    target = codes_folder(folder, key)
    index = read_index(folder, key)
    by_shard: dict[int, list[str]] = {}
    for clip_id, entry in index.items():
        if clip_id in wanted:
            by_shard.setdefault(entry[0], []).append(clip_id)
    found: dict[str, NDArray[np.uint16]] = {}
    for number, clip_ids in by_shard.items():
        path = target / _shard(number)
        try:
            with safe_open(str(path), "np") as file:
                codes: NDArray[np.uint16] = file.get_tensor("codes")
        except (OSError, SafetensorError) as error:
            raise PairsError(f"{path} cannot be read ({error}): delete it and make the codes again") from None
        for clip_id in clip_ids:
            _, start, frames, _ = index[clip_id]
            found[clip_id] = codes[:, start : start + frames]
    return found
