"""The ingest itself: any source to clips, speakers, splits and a manifest; safe to stop and to run again.

    audio/<id>.flac         clips of the manifest, 16 kHz mono
    duplicates/<id>.flac    clips that repeat an earlier one, kept apart
    ingested.jsonl          what came of each file (the journal)
    manifest.jsonl          a row a clip (`ClipEntry`)
    report.json             numbers, and what was left out and why
    embeddings.safetensors  voices of clips (where the source names no speaker)

A clip's name is a hash of its file's content, the options and its place in it: the same content is never cut twice,
under whatever name it comes back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml.audio.io import AudioError, write_audio
from ml.data.ingest.clips import CutClip, cut_file
from ml.data.ingest.finish import finish
from ml.data.ingest.journal import FileRow, Journal
from ml.data.ingest.likeness import fingerprint
from ml.data.ingest.sources import open_source
from ml.data.ingest.types import IngestError, IngestOptions, IngestReport, Item, LeftOut
from ml.data.progress import Tell, silent

AUDIO, DUPLICATES, WORK = "audio", "duplicates", ".work"
_TRIES = 3
"""Times that a file may crash the process before it is left out."""


def ingest(
    source: str,
    out: Path,
    options: IngestOptions | None = None,
    progress: Tell = silent,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Bring `source` (see `open_source`) into folder `out`; other sources that were brought there before stay.

    `stop` is asked between files: when it says so the state is left as after a crash, complete so far, and the same
    call goes on. Raises IngestError for what is refused as a whole.
    """
    options = options or IngestOptions()
    opened = open_source(source, options)
    if Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise IngestError(f"{out} lies in the source, and would be ingested itself: give a folder outside of {source}")
    try:
        (out / AUDIO).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IngestError(f"{out} cannot be made ({error}): give another folder") from None
    journal = Journal(out)
    work = out / WORK / hashlib.sha256(opened.id.encode()).hexdigest()[:16]
    work.mkdir(parents=True, exist_ok=True)
    report = IngestReport(source)
    told: list[LeftOut] = []
    seen: set[str] = set()
    items = opened.items(work, told)
    total = 0
    if opened.whole:
        listed = list(items)
        total, items = len(listed), iter(listed)
    for item in items:
        if stop():
            report.stopped = True
            break
        progress(report.files, max(total, report.files + 1), "decode", item.name)
        report.files += 1
        seen.add(item.name)
        report.known += _bring(item, out, journal, opened.id, options)
    if opened.whole and not report.stopped:
        for source_id, name in list(journal.rows):
            if source_id == opened.id and name not in seen:
                journal.add(FileRow(source_id, name, "", "", "", "", "", "", "", "", gone=True))
    progress(report.files, max(1, report.files), "decode")
    _remember_left_out(out, opened.id, told)
    finish(out, journal.rows.values(), options, report, progress)
    if not report.stopped:
        shutil.rmtree(work, ignore_errors=True)
    _write_report(out, report)
    return report


def _bring(item: Item, out: Path, journal: Journal, source_id: str, options: IngestOptions) -> bool:
    """Clips of one file, unless they are there; whether they were."""
    try:
        with item.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        empty = item.path.stat().st_size == 0
    except OSError as error:
        digest, empty = hashlib.sha256(item.name.encode()).hexdigest(), False
        journal.add(_row(item, source_id, digest, options, [], [{"why": f"cannot be read ({error.strerror})"}]))
        return False
    before = journal.known(digest, options.fingerprint)
    if before is not None and all(_there(out, clip["id"]) for clip in before.clips):
        row = _row(item, source_id, digest, options, before.clips, before.left_out)
        if journal.rows.get((source_id, item.name)) != row:
            journal.add(row)
        return True
    if empty:
        journal.add(_row(item, source_id, digest, options, [], [{"why": "empty"}]))
        return False
    if journal.tries[digest] >= _TRIES:
        why = f"it ended the program {_TRIES} times: no decoder is safe with it"
        journal.add(_row(item, source_id, digest, options, [], [{"why": why}]))
        return False
    journal.trying(digest)
    clips: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    try:
        for clip in cut_file(item.path, options):
            if clip.why_not:
                span = [clip.start, round(clip.start + clip.seconds, 3)]
                left_out.append({"why": clip.why_not, "seconds": span})
            else:
                clips.append(_write(out, digest, clip, options))
        if not clips and not left_out:
            left_out.append({"why": "no speech in it"})
    except AudioError as error:
        left_out.append({"why": str(error).replace(str(item.path), "it")})
    except (ValueError, ArithmeticError, MemoryError, LookupError, EOFError) as error:
        left_out.append({"why": f"cannot be decoded ({type(error).__name__}: {error})"})
    except OSError as error:
        raise IngestError(f"{out} cannot be written ({error}): free some space, then run it again") from None
    journal.add(_row(item, source_id, digest, options, clips, left_out))
    return False


def _row(
    item: Item, source_id: str, digest: str, options: IngestOptions, clips: list[Any], left_out: list[Any]
) -> FileRow:
    return FileRow(
        source=source_id,
        name=item.name,
        sha256=digest,
        options=options.fingerprint,
        speaker=item.speaker,
        text=item.text,
        split=item.split or "",
        licence=item.licence or options.licence,
        consent=options.consent,
        language=options.language,
        clips=clips,
        left_out=left_out,
    )


def _there(out: Path, clip_id: str) -> bool:
    return (out / AUDIO / f"{clip_id}.flac").is_file() or (out / DUPLICATES / f"{clip_id}.flac").is_file()


def _write(out: Path, digest: str, clip: CutClip, options: IngestOptions) -> dict[str, Any]:
    """One clip's file, by write-and-rename, and its row."""
    told = f"{digest} {options.fingerprint} {clip.start:.3f}"
    clip_id = hashlib.sha256(told.encode()).hexdigest()[:16]
    target = out / AUDIO / f"{clip_id}.flac"
    partial = out / AUDIO / f".{clip_id}.flac"
    write_audio(partial, clip.audio)
    sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
    os.replace(partial, target)
    return {
        "id": clip_id,
        "sha256": sha256,
        "start": clip.start,
        "seconds": round(clip.seconds, 3),
        "level_db": clip.level_db,
        "snr_db": clip.snr_db,
        "clipped": clip.clipped,
        "dnsmos": clip.dnsmos,
        "print": fingerprint(clip.audio),
    }


def _remember_left_out(out: Path, source_id: str, told: list[LeftOut]) -> None:
    """What a source listed and did not give (links, other files) is kept by source."""
    path = out / "not_taken.json"
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    kept[source_id] = [asdict(one) for one in told]
    _write_json(path, kept)


def _write_report(out: Path, report: IngestReport) -> None:
    _write_json(out / "report.json", report.as_dict())


def _write_json(path: Path, content: Any) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
