"""Speakers to train, validation and test: 0.8, 0.1, 0.1 of the hours, a speaker in one split only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ml.data.ingest.types import Split

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("validation", 0.1), ("test", 0.1))


def split_speakers(
    seconds: Mapping[str, float], before: Mapping[str, Split], prescribed: Mapping[str, Split]
) -> dict[str, Split]:
    """Speaker -> split. A source's own split holds, then the one of an earlier ingest; others go where most is missing.

    One speaker alone trains; of two, one trains and one validates.
    """
    chosen: dict[str, Split] = {s: prescribed.get(s) or before[s] for s in seconds if s in prescribed or s in before}
    total = sum(seconds.values())
    held = dict.fromkeys((name for name, _ in SHARES), 0.0)
    for speaker, split in chosen.items():
        held[split] += seconds[speaker]
    waiting = [speaker for speaker in seconds if speaker not in chosen]
    # who speaks much goes first, so that small ones fill the gaps; equals in an order that adding files does not change
    waiting.sort(key=lambda s: (-seconds[s], hashlib.sha256(s.encode()).hexdigest()))
    for speaker in waiting:
        lacking = {name: share * total - held[name] for name, share in SHARES}
        best = max(SHARES, key=lambda pair: (lacking[pair[0]], pair[1]))[0]
        chosen[speaker] = best
        held[best] += seconds[speaker]
    wanted: tuple[Split, ...] = ("validation", "test")
    for needed, split in enumerate(wanted, start=2):  # few speakers: the one with the least steps over
        movable = [s for s in waiting if chosen[s] == "train"]
        if not held[split] and len(seconds) >= needed and sum(c == "train" for c in chosen.values()) > 1 and movable:
            chosen[movable[-1]] = split
            held[split] += seconds[movable[-1]]
    return chosen
