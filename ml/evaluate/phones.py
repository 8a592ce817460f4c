"""How well phones can be read off the first codebook alone: a table from code to phones, nothing learned by descent.

The table is counted on one half of the speakers and measured on the other. Each code stands for two phones (a frame is
40 ms, two phones often share it); equal neighbours are merged and pauses dropped before the edit distance is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.audio.io import AudioError, read_audio
from ml.codec.model import TeluCodec
from ml.data.synthesis.phones import NON_SPEECH, PHONE_ID, PHONES
from ml.train.labels import STEP, UNKNOWN, phones_of

_SILENT = {PHONE_ID[symbol] for symbol in NON_SPEECH}


def edit_distance(reference: list[int], estimate: list[int]) -> int:
    """Levenshtein distance of two sequences of class ids."""
    previous = np.arange(len(estimate) + 1)
    hypothesis = np.asarray(estimate)
    for row, symbol in enumerate(reference, start=1):
        current = np.empty_like(previous)
        current[0] = row
        current[1:] = np.minimum(previous[1:] + 1, previous[:-1] + (hypothesis != symbol))
        # insertions run left to right: a running minimum of (value - index) settles them all at once
        index = np.arange(len(current))
        previous = np.minimum.accumulate(current - index) + index
    return int(previous[-1])


def _merged(labels: NDArray[np.int64]) -> list[int]:
    """Neighbours merged, pauses and unknown dropped."""
    out: list[int] = []
    last = UNKNOWN
    for label in labels.tolist():
        if label != last and label != UNKNOWN and label not in _SILENT:
            out.append(label)
        last = label
    return out


def evaluate_phones(
    codec: TeluCodec,
    counted: list[Path],
    measured: list[Path],
    *,
    level: int = 0,
    progress: Callable[[list[Path]], Any] = iter,
) -> dict[str, Any]:
    """Phone error rate and half-frame accuracy from the codes of one `level`, on synthesised clips with sidecars.

    Beside it stand the same figures for a table that ignores the code, which is what chance gives.
    """
    subframes = codec.config.hop // STEP
    counts = np.zeros((codec.config.codebook_size, 2, len(PHONES)), np.int64)

    def read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        audio = read_audio(path)
        labels = phones_of(path, len(audio)).astype(np.int64)
        with torch.inference_mode():
            codes = codec.encode(torch.from_numpy(audio)[None])[0, level].numpy()
        frames = min(len(codes), len(labels) // subframes)
        grid = labels[: frames * subframes].reshape(frames, subframes)
        return codes[:frames], grid[:, [subframes // 4, 3 * subframes // 4]], labels

    for path in progress(counted):
        codes, halves, _ = read(path)
        for half in range(2):
            known = halves[:, half] >= 0
            np.add.at(counts[:, half], (codes[known], halves[known, half]), 1)
    if not counts.any():
        raise AudioError("no clip has phones beside it (a JSON file with `phones`); synthesise some first")
    prior = counts.sum(axis=0, keepdims=True)
    table = (counts + 1e-3 * prior / max(1, prior.sum())).argmax(axis=-1)
    errors = phones = right = halves_seen = chance = 0
    for path in progress(measured):
        codes, halves, labels = read(path)
        guess = table[codes]
        known = halves >= 0
        right += int((guess == halves)[known].sum())
        chance += int((prior.argmax(axis=-1) == halves)[known].sum())
        halves_seen += int(known.sum())
        truth = _merged(labels)
        errors += edit_distance(truth, _merged(guess.reshape(-1)))
        phones += len(truth)
    return {
        "clips_counted": len(counted),
        "clips_measured": len(measured),
        "phone_error_rate": round(errors / max(1, phones), 4),
        "half_frame_accuracy": round(right / max(1, halves_seen), 4),
        "half_frame_accuracy_by_chance": round(chance / max(1, halves_seen), 4),
        "phones": phones,
    }
