"""Weights on disk: a safetensors file and a JSON card beside it. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from ml.codec.config import CodecConfig, ConfigError
from ml.codec.model import TeluCodec

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "weights"
_TRAINING_ONLY = ("quantizer.counts", "quantizer.sums", "quantizer.ready")  # ends of names


class CheckpointError(RuntimeError):
    """Weights that cannot be used; the message says what is wrong and what to do."""


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(path: Path) -> dict[str, Any]:
    """The JSON card beside weights file `path`. Raises CheckpointError."""
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{card_path} is missing; restore it (git checkout) or set VOICE_WEIGHTS_DIR") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{card_path} cannot be read ({error}); restore it (git checkout)") from None
    if not isinstance(card, dict) or "config" not in card or "sha256" not in card:
        raise CheckpointError(f"{card_path} is no model card (needs config and sha256); restore it (git checkout)")
    return card


def load_codec(path: Path, device: str | torch.device = "cpu") -> TeluCodec:
    """The codec stored at `path` (safetensors), folded, in eval mode, on `device`. Raises CheckpointError."""
    card = read_card(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"weights {path} cannot be read ({error}); restore them (git checkout)") from None
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise CheckpointError(f"weights {path} do not match the sha256 of their card; restore them (git checkout)")
    try:
        codec = TeluCodec(CodecConfig.from_dict(card["config"])).fold()
        tensors = {name: value.to(torch.float32) for name, value in load(data).items()}
        missing, unexpected = codec.load_state_dict(tensors, strict=False)
    except (SafetensorError, ConfigError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"weights {path} do not fit their card: {error}") from None
    lacking = [name for name in missing if not name.endswith(_TRAINING_ONLY)]
    if lacking or unexpected:
        raise CheckpointError(f"weights {path} lack {lacking[:3]} or hold unknown {unexpected[:3]}; restore them")
    return codec.freeze().to(device)


def export_codec(codec: TeluCodec, path: Path, card: dict[str, Any], dtype: torch.dtype = torch.float16) -> None:
    """Write inference weights of `codec` (folded in place) and their card, each by write-and-rename."""
    codec.fold()
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in codec.state_dict().items()
        if not name.endswith(_TRAINING_ONLY)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    full = {**card, "config": codec.config.to_dict(), "sha256": sha256_of(partial), "dtype": str(dtype).split(".")[-1]}
    os.replace(partial, path)
    card_partial = path.with_suffix(".json.partial")
    card_partial.write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(card_partial, path.with_suffix(".json"))


def load_preset(preset: str, weights: Path | None = None, device: str | torch.device = "cpu") -> TeluCodec:
    """The shipped codec of a preset, from folder `weights` (`WEIGHTS_DIR` by default). Raises CheckpointError."""
    path = (weights or WEIGHTS_DIR) / f"codec-{preset}.safetensors"
    if not path.exists():
        known = sorted(p.stem.removeprefix("codec-") for p in path.parent.glob("codec-*.safetensors"))
        raise CheckpointError(f"no weights for codec preset {preset!r} in {path.parent}; there are: {known}")
    return load_codec(path, device)
