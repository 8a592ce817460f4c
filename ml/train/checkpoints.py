"""Resumable training checkpoints: one safetensors file and one JSON file each, written by write-and-rename.

The JSON file holds the other's sha256, so that a bit that was lost on disk is told before it is trained on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ml.codec.checkpoint import sha256_of

_NAME = re.compile(r"^step-(\d{8})$")


class ResumeError(RuntimeError):
    """A run folder that cannot be continued; the message says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on exactly as if it had not stopped."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's per-parameter state under flat names."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{k}": torch.as_tensor(v) for i, slot in state.items() for k, v in slot.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def save_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int) -> None:
    """Write `folder/step-XXXXXXXX/` atomically and drop all but the newest `keep`."""
    target = folder / f"step-{checkpoint.step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {k: v.detach().contiguous().clone() for k, v in checkpoint.tensors.items()}
    save_file(tensors, partial / "state.safetensors")
    meta = {"step": checkpoint.step, "sha256": sha256_of(partial / "state.safetensors"), **checkpoint.meta}
    (partial / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    for old in sorted(_steps(folder))[:-keep]:
        shutil.rmtree(folder / f"step-{old:08d}", ignore_errors=True)


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(m[1]) for p in folder.iterdir() if (m := _NAME.match(p.name)) and (p / "meta.json").exists()]


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint below `folder`, or None. Raises ResumeError on a damaged one."""
    steps = _steps(folder)
    if not steps:
        return None
    path = folder / f"step-{max(steps):08d}"
    try:
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        if meta.get("sha256", digest := sha256_of(path / "state.safetensors")) != digest:
            raise ValueError("its sha256 is not the one noted when it was written")
        return Checkpoint(int(meta["step"]), load_file(path / "state.safetensors"), meta)
    except Exception as error:
        raise ResumeError(f"{path} is damaged ({error}); delete that folder to resume from the one before") from error
