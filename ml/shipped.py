"""Weights as they ship: one safetensors file and one JSON card beside it, with the sha256 of the file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ml.codec.checkpoint import CheckpointError, read_card, sha256_of


def read_shipped(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Card and tensors (float32) of `path`. Raises CheckpointError when a file is absent, damaged or not the card's."""
    card = read_card(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"weights {path} cannot be read ({error}); restore them (git checkout)") from None
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise CheckpointError(f"weights {path} do not match the sha256 of their card; restore them (git checkout)")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise CheckpointError(f"weights {path} cannot be read ({error}); restore them (git checkout)") from None
    return card, {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in tensors.items()}


def write_shipped(path: Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write tensors and card (sha256 and dtype are added), each by write-and-rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, partial)
    dtypes = sorted({str(v.dtype).removeprefix("torch.") for v in tensors.values()})
    full = {**card, "sha256": sha256_of(partial), "dtype": "+".join(dtypes)}
    os.replace(partial, path)
    write_json(path.with_suffix(".json"), full)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Readable JSON by write-and-rename."""
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
