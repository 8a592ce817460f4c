"""Weights of the S2S model on disk: a safetensors file in half precision and a JSON card beside it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ml.codec.checkpoint import WEIGHTS_DIR, CheckpointError
from ml.s2s.acts import NO_PHONE, Weights
from ml.s2s.config import S2SConfig, S2SConfigError
from ml.s2s.model import S2SModel
from ml.shipped import read_shipped, write_shipped

TRAINING_ONLY = ("intent_head.",)
"""Heads that only training needs; a shipped model is without them."""
_GRAMS, _SCALE = "phrases.grams.weight", "phrases.grams.scale"
_WEIGHTS = "phrases.weights"
_KNOWN, _LENGTHS = "phrases.known", "phrases.known_lengths"


def load_s2s(path: Path, device: str | torch.device = "cpu") -> S2SModel:
    """The model stored at `path` (safetensors, its card beside it), for inference. Raises CheckpointError."""
    card, tensors = read_shipped(path)
    if (scale := tensors.pop(_SCALE, None)) is not None:
        tensors[_GRAMS] = tensors[_GRAMS].to(torch.float32) * scale
    if (lengths := tensors.pop(_LENGTHS, None)) is not None:
        tensors[_KNOWN] = _unpacked(tensors[_KNOWN], lengths, int(card["config"]["phrase_length"]))
    if (weights := tensors.get(_WEIGHTS)) is not None:  # of a choice that was fitted before there were as many
        tensors[_WEIGHTS] = functional.pad(weights, (0, max(0, len(fields(Weights)) - len(weights))))
    try:
        model = S2SModel(S2SConfig.from_dict(card["config"]))
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (S2SConfigError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"weights {path} do not fit their card: {error}") from None
    optional = _training_only(model)
    lacking = [name for name in missing if not name.startswith(optional)]
    if lacking or unexpected:
        raise CheckpointError(f"weights {path} lack {lacking[:3]} or hold unknown {unexpected[:3]}; restore them")
    for head in ("intent_head", "plan_head"):
        if any(name.startswith(f"{head}.") for name in missing):
            setattr(model, head, None)
    model.codec_sha256 = str(card.get("codec_sha256", ""))
    model.codebooks_sha256 = str(card.get("codebooks_sha256", ""))
    if model.second is not None and model.phrases is not None:
        model.phrases.language()  # takes a second: now rather than in somebody's first turn
    return model.eval().requires_grad_(False).to(device)


def export_s2s(model: S2SModel, path: Path, card: dict[str, Any], dtype: torch.dtype = torch.float16) -> None:
    """Write inference weights (without the heads of training) and a card with what `load_s2s` needs added.

    In half precision the vectors of n-grams are stored in 8 bits with a scale each: they are a tenth of everything.
    Known phrasings are stored end to end: padded to the longest they would take twice the room.
    """
    optional = _training_only(model)
    tensors = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
        if not name.startswith(optional)
    }
    if model.phrases is not None and dtype == torch.float16:
        grams = model.phrases.grams.weight.detach()
        scale = (grams.abs().amax(dim=1, keepdim=True).clamp_min(1e-4) / 127.0).to(dtype)
        tensors[_GRAMS] = (grams / scale.to(grams.dtype)).round().clamp(-127, 127).to(torch.int8)
        tensors[_SCALE] = scale
    if model.phrases is not None:
        said = model.phrases.known != NO_PHONE
        tensors[_KNOWN], tensors[_LENGTHS] = model.phrases.known[said], said.sum(dim=1).to(torch.uint8)
    own = {
        "kind": "s2s",
        "preset": model.config.preset,
        "config": model.config.to_dict(),
        "parameters": sum(p.numel() for n, p in model.named_parameters() if not n.startswith(optional)),
        "codec_sha256": model.codec_sha256,
        "codebooks_sha256": model.codebooks_sha256,
    }
    write_shipped(path, tensors, {"name": f"S2S {model.config.preset}", **card, **own})


def _unpacked(flat: torch.Tensor, lengths: torch.Tensor, width: int) -> torch.Tensor:
    """Rows `[N, width]` filled up with NO_PHONE, of sequences end to end."""
    said = torch.arange(width) < lengths.to(torch.int64)[:, None]
    if int(said.sum()) != len(flat):
        raise CheckpointError("the known phrasings of the weights are not as long as they say; restore the file")
    return torch.full(said.shape, NO_PHONE, dtype=torch.uint8).masked_scatter_(said, flat)


def _training_only(model: S2SModel) -> tuple[str, ...]:
    """Prefixes of what only training needs: the plan head too where acts choose the plan."""
    return TRAINING_ONLY if model.phrases is None else (*TRAINING_ONLY, "plan_head.")


def load_s2s_preset(preset: str, weights: Path | None = None, device: str | torch.device = "cpu") -> S2SModel:
    """The shipped model of a preset, from folder `weights` (`WEIGHTS_DIR` by default). Raises CheckpointError."""
    path = (weights or WEIGHTS_DIR) / f"s2s-{preset}.safetensors"
    if not path.exists():
        known = sorted(p.stem.removeprefix("s2s-") for p in path.parent.glob("s2s-*.safetensors"))
        raise CheckpointError(f"no weights for S2S preset {preset!r} in {path.parent}; there are: {known}")
    return load_s2s(path, device)
