"""How much of each codebook speech uses, folder by folder: `python -m ml evaluate codebooks`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import AudioError, read_audio
from ml.codec.model import TeluCodec
from ml.evaluate.metrics import codebook_statistics


def measure_codebooks(
    codec: TeluCodec, folders: dict[str, list[Path]], progress: Callable[[list[Path]], Any] = iter
) -> list[dict[str, Any]]:
    """Usage and perplexity per level of the files of each folder, and last of all of them together.

    Encoding only, so that it takes a fraction of `evaluate_codec`: whether rare entries are ever used shows in hours of
    speech, not in minutes. A row has files, minutes, frames, usage (share of entries), perplexity (entries, of
    `codebook_size`). Files that cannot be read are left out and counted. Raises AudioError when nothing is left.
    """
    config = codec.config
    rows: list[dict[str, Any]] = []
    everything: list[NDArray[np.int64]] = []
    for name, paths in folders.items():
        codes: list[NDArray[np.int64]] = []
        samples = left_out = 0
        for path in progress(paths):
            try:
                audio = read_audio(path)
            except AudioError:
                left_out += 1
                continue
            samples += len(audio)
            with torch.inference_mode():
                codes.append(codec.encode(torch.from_numpy(audio)[None])[0].numpy())
        if not codes:
            raise AudioError(f"none of the {len(paths)} files of {name} can be read; check the folder")
        rows.append(
            {"name": name, "files": len(codes), "left_out": left_out, "minutes": samples / config.sample_rate / 60}
        )
        everything.append(np.concatenate(codes, axis=1))
    total = {"name": "all"} | {key: sum(row[key] for row in rows) for key in ("files", "left_out", "minutes")}
    rows.append(total)
    for row, used in zip(rows, [*everything, np.concatenate(everything, axis=1)], strict=True):
        usage, perplexity = codebook_statistics(used, config.codebook_size)
        row["minutes"] = round(row["minutes"], 1)
        row |= {
            "frames": used.shape[1],
            "usage": [round(share, 4) for share in usage],
            "perplexity": [round(entries, 1) for entries in perplexity],
        }
    return rows
