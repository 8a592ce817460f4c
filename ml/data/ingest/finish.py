"""What only the whole collection can tell: repeats, speakers, splits; then the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ml.audio.io import read_audio, write_audio
from ml.data.ingest.journal import FileRow
from ml.data.ingest.likeness import duplicates
from ml.data.ingest.splits import split_speakers
from ml.data.ingest.types import ClipEntry, IngestOptions, IngestReport, LeftOut, Split
from ml.data.progress import Tell

_OURS = re.compile(r"\.?[0-9a-f]{16}(-[0-9a-f]{6})?\.flac")
"""Names of our clips, so that nothing else in `audio/` is ever deleted."""
MANIFEST, EMBEDDINGS = "manifest.jsonl", "embeddings.safetensors"


@dataclass(slots=True)
class Kept:
    """A clip that stays, with the file it came of."""

    row: FileRow
    clip: dict[str, Any]
    speaker: str = ""

    @property
    def id(self) -> str:
        return str(self.clip["id"])


def finish(out: Path, rows: Iterable[FileRow], options: IngestOptions, report: IngestReport, progress: Tell) -> None:
    """Manifest of everything in the journal, and the report's numbers. Leaves only its clips in `audio/`."""
    rows = sorted(rows, key=lambda row: (row.source, row.name))
    kept, repeated = _without_repeats(rows, options, report)
    for clip in kept:
        _move(out / "duplicates" / f"{clip.id}.flac", out / "audio" / f"{clip.id}.flac")
    for clip_id in repeated:
        _move(out / "audio" / f"{clip_id}.flac", out / "duplicates" / f"{clip_id}.flac")
    _name_speakers(out, kept, options, report, progress)
    before = _splits_before(out)
    seconds: dict[str, float] = defaultdict(float)
    prescribed: dict[str, Split] = {}
    for clip in kept:
        seconds[clip.speaker] += clip.clip["seconds"]
        if clip.row.split:
            prescribed[clip.speaker] = cast(Split, clip.row.split)
    splits = split_speakers(seconds, before, prescribed)
    entries = [_entry(clip, splits[clip.speaker]) for clip in kept]
    extra = _augmented(out, entries, options, progress)
    wanted = {Path(entry.audio).name for entry in (*entries, *extra)}
    for path in (out / "audio").iterdir():
        if path.name not in wanted and _OURS.fullmatch(path.name):
            path.unlink()  # of files that are no longer in their source, or half written
    partial = out / f".{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as file:
        for entry in (*entries, *extra):
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    os.replace(partial, out / MANIFEST)
    report.clips, report.augmented = len(entries), len(extra)
    report.hours = sum(entry.seconds for entry in entries) / 3600
    report.speakers = len(seconds)
    report.splits = dict(Counter(entry.split for entry in entries))
    for row in rows:
        for left in row.left_out:
            span = left.get("seconds")
            report.left_out.append(LeftOut(row.name, left["why"], (span[0], span[1]) if span else None))
    report.left_out += _not_taken(out)


def _without_repeats(rows: list[FileRow], options: IngestOptions, report: IngestReport) -> tuple[list[Kept], set[str]]:
    """Clips that stay, and the ids of those that repeat another."""
    kept: list[Kept] = []
    first: dict[str, str] = {}
    for row in rows:
        if row.clips and (same := first.setdefault(row.sha256, row.name)) != row.name:
            report.left_out.append(LeftOut(row.name, f"the same content as {same}"))
            continue
        kept += [Kept(row, clip) for clip in row.clips]
    kept = list({clip.id: clip for clip in reversed(kept)}.values())[::-1]
    if not options.duplicates:
        return kept, set()
    repeats = duplicates([c.clip["print"] for c in kept], [c.clip["seconds"] for c in kept])
    for index, earlier in sorted(repeats.items()):
        clip, other = kept[index], kept[earlier]
        span = (clip.clip["start"], round(clip.clip["start"] + clip.clip["seconds"], 3))
        why = f"sounds the same as {other.row.name} at {other.clip['start']:.1f} s"
        report.left_out.append(LeftOut(clip.row.name, why, span))
    return [clip for n, clip in enumerate(kept) if n not in repeats], {kept[n].id for n in repeats}


def _move(source: Path, target: Path) -> None:
    if source.is_file() and not target.is_file():
        target.parent.mkdir(exist_ok=True)
        os.replace(source, target)


def _name_speakers(out: Path, kept: list[Kept], options: IngestOptions, report: IngestReport, progress: Tell) -> None:
    """The source's label, a cluster of voices, or the file's own name."""
    unknown = [clip for clip in kept if not clip.row.speaker]
    for clip in kept:
        clip.speaker = clip.row.speaker or f"file-{clip.row.sha256[:8]}"
    if not unknown or options.speakers != "cluster":
        return
    from ml.data.speakers import SpeakerError, cluster, embed

    path = out / EMBEDDINGS
    try:
        known: dict[str, Any] = load_file(str(path)) if path.is_file() else {}
    except (OSError, SafetensorError):
        known = {}
    try:
        for number, clip in enumerate(unknown):
            if clip.id not in known:
                known[clip.id] = embed(read_audio(out / "audio" / f"{clip.id}.flac"))
            progress(number + 1, len(unknown), "speakers", clip.row.name)
    except SpeakerError as error:
        report.left_out.append(LeftOut("(speakers)", f"each file counts as one speaker: {error}"))
        return
    partial = out / f".{EMBEDDINGS}.partial"
    ids = {clip.id for clip in unknown}
    save_file({clip_id: np.asarray(v, np.float32) for clip_id, v in known.items() if clip_id in ids}, str(partial))
    os.replace(partial, path)
    numbers = cluster([known[clip.id] for clip in unknown])
    names: dict[int, str] = {}
    for clip, number in zip(unknown, numbers, strict=True):
        # named by the first clip's own hash: a cluster keeps its name when others are added behind it
        clip.speaker = names.setdefault(number, f"voice-{clip.id[:8]}")


def _splits_before(out: Path) -> dict[str, Split]:
    """Speaker -> split of the manifest that is there, so that nobody changes sides when files are added."""
    try:
        lines = (out / MANIFEST).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return {row["speaker"]: row["split"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _entry(clip: Kept, split: Split) -> ClipEntry:
    row, cut = clip.row, clip.clip
    return ClipEntry(
        audio=f"audio/{clip.id}.flac",
        sha256=cut["sha256"],
        seconds=cut["seconds"],
        start=cut["start"],
        speaker=clip.speaker,
        text=row.text if len(row.clips) == 1 else "",  # a text is of the whole file
        split=split,
        level_db=cut["level_db"],
        snr_db=cut["snr_db"],
        clipped=cut["clipped"],
        dnsmos=cut["dnsmos"],
        source=row.name,
        source_sha256=row.sha256,
        licence=row.licence,
        consent=row.consent,
        language=row.language,
    )


def _augmented(out: Path, entries: list[ClipEntry], options: IngestOptions, progress: Tell) -> list[ClipEntry]:
    """Copies of the training clips in rooms, noise and on the telephone; files that are there stay."""
    if not options.augment:
        return []
    from ml.data.synthesis import vary

    training = [entry for entry in entries if entry.split == "train"]
    made: list[ClipEntry] = []
    for number, entry in enumerate(training):
        for copy in range(options.augment):
            told = hashlib.sha256(f"{entry.sha256} {options.seed} {copy}".encode()).hexdigest()
            name = f"audio/{Path(entry.audio).stem}-{told[:6]}.flac"
            if not (out / name).is_file():
                partial = out / "audio" / f".{told[:16]}.flac"
                write_audio(partial, vary(read_audio(out / entry.audio), seed=int(told[:8], 16)))
                os.replace(partial, out / name)
            values: Mapping[str, Any] = asdict(entry) | {"audio": name, "augmented_from": entry.audio}
            made.append(ClipEntry(**{**values, "sha256": hashlib.sha256((out / name).read_bytes()).hexdigest()}))
        progress(number + 1, len(training), "augment", entry.source)
    return made


def _not_taken(out: Path) -> list[LeftOut]:
    try:
        kept = json.loads((out / "not_taken.json").read_text(encoding="utf-8"))
        return [LeftOut(one["file"], one["why"]) for ones in kept.values() for one in ones]
    except (OSError, ValueError, KeyError, TypeError):
        return []
