"""Scores from text, and where in its score a spoken answer is at each frame."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.s2s.score import STRIDES

_SKIP = np.array([0.0, 0.0, 0.4, 0.9])  # price of moving on by 0 to 3 phones
_OTHER, _INSERTED = 1.0, 0.6  # price of a frame that sounds otherwise, and of one with silence, breath or laughter
assert len(_SKIP) == STRIDES


def score_of(text: str) -> list[int]:
    """Class ids of the phones of a Telugu text, with silence at both ends and wherever punctuation makes a pause."""
    from ml.data.synthesis.g2p import phones_of
    from ml.data.synthesis.phones import PHONE_ID, SILENCE

    score = [PHONE_ID[SILENCE]]
    for clause in re.split(r"[,.?!;:…।]+", text):
        if phones := phones_of(clause):
            score += [PHONE_ID[phone] for phone in phones] + [PHONE_ID[SILENCE]]
    return score


def align_frames(
    score: Sequence[int], frame_phones: NDArray[np.uint8], non_speech: Sequence[int] = (0, 47, 48)
) -> NDArray[np.int64]:
    """Place in the score, int64 [F], of each frame of an answer whose frames sound as `frame_phones` [F] says.

    Never goes back, moves by at most three phones a frame, starts at the first phone and ends at the last (or as far
    as frames allow); of such paths the one that agrees best (Viterbi). Laughter and accents that the score does not
    know cost little.
    """
    phones = np.asarray(score)
    frames = len(frame_phones)
    cost = np.where(frame_phones[:, None] == phones, 0.0, _OTHER)
    cost[np.isin(frame_phones, non_speech)[:, None] & (cost > 0)] = _INSERTED
    best = np.full(len(phones), np.inf)
    best[0] = cost[0, 0]
    came = np.zeros((frames, len(phones)), np.int8)
    for frame in range(1, frames):
        options = np.full((STRIDES, len(phones)), np.inf)
        for stride in range(min(STRIDES, len(phones))):
            options[stride, stride:] = best[: len(phones) - stride] + _SKIP[stride]
        came[frame] = options.argmin(axis=0)
        best = options.min(axis=0) + cost[frame]
    path = np.zeros(frames, np.int64)
    reachable = np.flatnonzero(np.isfinite(best))
    path[-1] = reachable[-1]
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - came[frame, path[frame]]
    return path
