"""A folder of pairs on disk: FLAC files, a journal of what is rendered, and the manifest made from plan and journal.

    audio/ab/abcdef….flac     one file a clip, by write-and-rename
    rendered.jsonl            a line a clip, appended after its file is there
    manifest.jsonl            a head line, then clips and pairs that are complete, by write-and-rename
    codes/<sha12>/            codec codes (`ml.data.pairs.codes`)

After kill -9 at any moment the journal tells what is done; a torn last line and a file without a line are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

from ml.audio.io import SAMPLE_RATE
from ml.data.pairs.render import RenderedClip
from ml.data.pairs.schema import ClipRow, ClipSpec, PairSpec, Plan, pair_from_dict
from ml.data.pairs.sizes import PairsError

FORMAT = 1
MANIFEST, JOURNAL = "manifest.jsonl", "rendered.jsonl"


def clip_path(clip_id: str) -> str:
    """Where a clip lies, relative to the folder."""
    return f"audio/{clip_id[:2]}/{clip_id}.flac"


def write_clip(folder: Path, spec: ClipSpec, made: RenderedClip) -> None:
    """The file by write-and-rename, then its line in the journal (one appending write, so processes do not mix)."""
    target = folder / clip_path(spec.id)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{spec.id}-{os.getpid()}.flac")
    soundfile.write(str(partial), made.audio.clip(-1.0, 1.0), SAMPLE_RATE, subtype="PCM_16")
    content = partial.read_bytes()
    os.replace(partial, target)
    row = {
        "id": spec.id,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "samples": len(made.audio),
        "speech": made.speech,
        "phones": [list(phone) for phone in made.phones],
        "engine": made.engine,
    }
    line = "\n" + json.dumps(row, ensure_ascii=False)  # a torn line before it stays a line of its own
    handle = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read_journal(folder: Path) -> dict[str, dict[str, Any]]:
    """Clip id -> its line, for clips whose file is there in full size."""
    path = folder / JOURNAL
    if not path.is_file():
        return {}
    done: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line:
            continue
        try:
            row = json.loads(line)
            clip_id, size = row["id"], row["bytes"]
        except (ValueError, KeyError, TypeError):
            continue  # torn by a kill
        try:
            if (folder / clip_path(clip_id)).stat().st_size == size:
                done[clip_id] = row
        except OSError:
            continue
    return done


def write_manifest(folder: Path, plan: Plan, done: dict[str, dict[str, Any]], extra: dict[str, Any]) -> tuple[int, int]:
    """Clips that are rendered and pairs that are complete, contexts included; returns how many of each."""
    clips = [_row(spec, done[clip_id], plan) for clip_id, spec in plan.clips.items() if clip_id in done]
    there: set[str] = set()
    pairs: list[PairSpec] = []
    for pair in plan.pairs:  # a context comes before the pairs that need it
        if pair.question in done and pair.answer in done and there.issuperset(pair.context):
            there.add(pair.id)
            pairs.append(pair)
    head = {
        "type": "pairs",
        "format": FORMAT,
        "size": plan.size,
        "seed": plan.seed,
        "plan": plan.digest,
        "planned_clips": len(plan.clips),
        "planned_pairs": len(plan.pairs),
        "clips": len(clips),
        "pairs": len(pairs),
        "hours": round(sum(clip.samples for clip in clips) / SAMPLE_RATE / 3600, 3),
        "intents": sorted({pair.intent for pair in plan.pairs}),
        "answers": [asdict(answer) for answer in plan.answers.values()],
        **extra,
    }
    partial = folder / f".{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as file:
        rows: Iterable[dict[str, Any]] = (
            head,
            *({"type": "clip", **asdict(clip)} for clip in clips),
            *({"type": "pair", **asdict(pair)} for pair in pairs),
        )
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(partial, folder / MANIFEST)
    return len(clips), len(pairs)


def _row(spec: ClipSpec, done: dict[str, Any], plan: Plan) -> ClipRow:
    return ClipRow(
        id=spec.id,
        path=clip_path(spec.id),
        sha256=done["sha256"],
        samples=done["samples"],
        bytes=done["bytes"],
        kind=spec.kind,
        text=spec.text,
        speaker=spec.speaker,
        split=spec.split,
        emotion=spec.emotion,
        controls=spec.controls,
        speech=(done["speech"][0], done["speech"][1]),
        phones=[(symbol, start, end) for symbol, start, end in done["phones"]],
        answer=plan.clip_answer.get(spec.id, ""),
        varied=spec.variation is not None,
        engine=done["engine"],
    )


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[ClipRow], list[PairSpec]]:
    """Head, clips and pairs of a folder. Raises PairsError."""
    path = folder / MANIFEST
    if not path.is_file():
        raise PairsError(f"{path} is missing: make the pairs first (python -m ml data pairs --out {folder})")
    head: dict[str, Any] = {}
    clips: list[ClipRow] = []
    pairs: list[PairSpec] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                match row["type"]:
                    case "pairs":
                        head = row
                    case "clip":
                        clips.append(ClipRow.from_dict(row))
                    case "pair":
                        pairs.append(pair_from_dict(row))
            except (ValueError, KeyError, TypeError) as error:
                raise PairsError(
                    f"{path}: line {number} is no row of a manifest ({error}): make the pairs again"
                ) from None
    if head.get("format") != FORMAT:
        raise PairsError(f"{path} has format {head.get('format')}, this program reads {FORMAT}: make the pairs again")
    return head, clips, pairs
