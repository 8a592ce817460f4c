"""Renders a plan into a folder: in parallel, resumable after any kill, nothing twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.audio.io import AudioError
from ml.data.corpus.loader import Corpus, load_corpus
from ml.data.pairs.plan import plan_pairs
from ml.data.pairs.render import render_clip
from ml.data.pairs.schema import ClipSpec, Plan
from ml.data.pairs.sizes import PairsError, size_named
from ml.data.pairs.sources import Sources
from ml.data.pairs.store import MANIFEST, read_journal, write_clip, write_manifest
from ml.data.progress import Tell, silent
from ml.data.synthesis import SynthesisError

MANIFEST_EVERY = 45.0
"""Seconds between manifests of a render that runs."""
_HOPELESS = 20
"""Clips that fail, without one that works, before rendering gives up."""


@dataclass(slots=True)
class PairsReport:
    """What a run did."""

    clips: int
    pairs: int
    rendered: int
    seconds: float
    audio_seconds: float
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(text or speaker of the clip, why)."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "clips": self.clips,
            "pairs": self.pairs,
            "rendered": self.rendered,
            "seconds": round(self.seconds, 1),
            "failed": [{"what": what, "why": why} for what, why in self.failed],
        }


def make_pairs(
    out: Path,
    *,
    size: str,
    seed: int = 1,
    workers: int = 1,
    sources: Sources | None = None,
    corpus: Corpus | None = None,
    tell: Tell = silent,
) -> PairsReport:
    """Plan, render what is missing, write the manifest. A second run on the same arguments renders nothing.

    Raises PairsError (bad arguments, or rendering that cannot work), CorpusError.
    """
    began = time.monotonic()
    if workers < 1:
        raise PairsError(f"workers must be 1 or more, not {workers}")
    sources = sources or Sources()
    plan = plan_pairs(corpus or load_corpus(), size_named(size), seed, sources)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PairsError(f"{out} cannot be made ({error}): give another --out") from None
    done = read_journal(out)
    missing = [spec for clip_id, spec in plan.clips.items() if clip_id not in done]
    report = PairsReport(0, 0, 0, 0.0, 0.0)
    extra = {"surroundings": sources.surroundings}
    total, ready = len(plan.clips), len(plan.clips) - len(missing)
    shown = time.monotonic()
    for spec, row, why in _render(out, missing, sources, workers):
        if row is None:
            report.failed.append((spec.text or spec.speaker, why))
            if len(report.failed) >= _HOPELESS and not report.rendered:
                raise PairsError(f"none of the first {_HOPELESS} clips could be made; the last one: {why}")
            continue
        report.rendered += 1
        report.audio_seconds += row
        tell(ready + report.rendered, total, "render", spec.text[:40], audio_seconds=round(report.audio_seconds, 1))
        if time.monotonic() - shown > MANIFEST_EVERY:
            write_manifest(out, plan, read_journal(out), extra)
            shown = time.monotonic()
    if missing or not _is_current(out, plan):
        report.clips, report.pairs = write_manifest(out, plan, read_journal(out), extra)
    else:
        report.clips, report.pairs = len(plan.clips), len(plan.pairs)
    report.seconds = time.monotonic() - began
    return report


def _is_current(out: Path, plan: Plan) -> bool:
    """Whether the manifest tells of the whole plan."""
    try:
        with (out / MANIFEST).open(encoding="utf-8") as file:
            head = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return bool(head.get("plan") == plan.digest and head.get("clips") == len(plan.clips) and "intents" in head)


def _render(
    out: Path, specs: list[ClipSpec], sources: Sources, workers: int
) -> Iterator[tuple[ClipSpec, float | None, str]]:
    """(clip, its seconds, "") or (clip, None, why it failed), as they come."""
    if not specs:
        return
    if workers == 1:
        for spec in specs:
            yield (spec, *_one(out, spec, sources))
        return
    context = multiprocessing.get_context("spawn")  # a forked child would share the parent's speech engine
    by_id = {spec.id: spec for spec in specs}
    with context.Pool(min(workers, len(specs)), _begin, (out, sources, os.getpid())) as pool:
        for clip_id, seconds, why in pool.imap_unordered(_in_worker, specs, chunksize=4):
            yield by_id[clip_id], seconds, why


def _one(out: Path, spec: ClipSpec, sources: Sources) -> tuple[float | None, str]:
    try:
        made = render_clip(spec, sources)
        write_clip(out, spec, made)
    except (SynthesisError, AudioError) as error:
        return None, str(error)
    except OSError as error:
        raise PairsError(
            f"{out} cannot be written ({error}): free some space, then run the same command again"
        ) from None
    return len(made.audio) / 16_000, ""


_job: tuple[Path, Sources, int]


def _begin(out: Path, sources: Sources, parent: int) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends the pool
    _job = (out, sources, parent)


def _in_worker(spec: ClipSpec) -> tuple[str, float | None, str]:
    out, sources, parent = _job
    if os.getppid() != parent:
        os._exit(1)  # the parent was killed: nobody waits for this any more
    return (spec.id, *_one(out, spec, sources))
