"""What a run sounds like: a few held-out clips at each validation, to be compared by ear.

``RUN/samples/target/0.flac`` is the original, ``RUN/samples/step-00000500/0.flac`` the model at that step: FLAC, 16 kHz
mono. Whoever plays them finds steps by the folders' names.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import SAMPLE_RATE, write_audio
from ml.codec.model import TeluCodec
from ml.train.data import ClipBank

SECONDS = 6.0


def write_samples(run: Path, name: str, clips: Iterable[NDArray[np.float32]]) -> None:
    """Store `clips` (float32 [T], 16 kHz, in [-1, 1]) as `run/samples/NAME/N.flac`; the folder appears whole."""
    write_samples_to(run / "samples" / name, clips)


def write_samples_to(folder: Path, clips: Iterable[NDArray[np.float32]]) -> None:
    """The same in any folder."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, audio in enumerate(clips):
        write_audio(partial / f"{number}.flac", audio)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def write_codec_samples(run: Path, codec: TeluCodec, bank: ClipBank, step: int, clips: int = 3) -> None:
    """The first `clips` of `bank` through `codec` (eval mode), and once the originals."""
    originals = [bank.clip(index)[: round(SECONDS * SAMPLE_RATE)] for index in range(min(clips, len(bank.lengths)))]
    if not (run / "samples" / "target").exists():
        write_samples(run, "target", originals)
    device = next(codec.parameters()).device
    heard = []
    with torch.inference_mode():
        for audio in originals:
            decoded = codec.decode(codec.encode(torch.from_numpy(audio)[None].to(device)))
            heard.append(decoded[0, : len(audio)].clamp(-1.0, 1.0).float().cpu().numpy())
    write_samples(run, f"step-{step:08d}", heard)
