"""Addresses: videos and pages by yt-dlp, and plain files; each download in a child process that guards connections."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ml.data.ingest.guard import AUDIO_SUFFIXES, check_url, is_archive
from ml.data.ingest.sources import ArchiveSource
from ml.data.ingest.types import IngestError, IngestOptions, Item, LeftOut

_TIMEOUT = 6 * 3600


@dataclass(frozen=True, slots=True)
class WebSource:
    """One address: a file, an archive, a video, a playlist."""

    url: str
    options: IngestOptions
    id: str
    whole: bool = False

    @classmethod
    def of(cls, url: str, options: IngestOptions) -> WebSource:
        """Refuses at once what is no public web address."""
        check_url(url, allow_private=options.allow_private)
        return cls(url, options, f"url:{hashlib.sha256(url.encode()).hexdigest()[:16]}")

    def items(self, work: Path, left_out: list[LeftOut]) -> Iterator[Item]:
        path = Path(urlsplit(self.url).path)
        if is_archive(path):
            archive = download(self.url, work, self.options)
            yield from ArchiveSource(archive, self.options, self.id).items(work, left_out)
            return
        if path.suffix.lower() in AUDIO_SUFFIXES:
            yield Item(self.url, download(self.url, work, self.options))
            return
        for row in _child("media", self.url, work, self.options):
            if "why" in row:
                left_out.append(LeftOut(row.get("name", self.url), row["why"]))
            else:
                yield Item(row["name"], Path(row["path"]), licence=row.get("licence", ""))


def download(url: str, work: Path, options: IngestOptions) -> Path:
    """A file into `work`, gone on with where an earlier try stopped. Raises IngestError."""
    check_url(url, allow_private=options.allow_private)
    for row in _child("file", url, work, options):
        if "path" in row:
            return Path(row["path"])
        raise IngestError(f"{url} cannot be downloaded: {row.get('why', 'no answer')}")
    raise IngestError(f"{url} cannot be downloaded: the download ended without a word; try again")


def _child(what: str, url: str, work: Path, options: IngestOptions) -> list[dict[str, str]]:
    """Rows that `ml.data.ingest.fetch` tells: `{"name", "path"}` or `{"why"}`."""
    order = {"what": what, "url": url, "folder": str(work.resolve()), "options": asdict(options)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ml.data.ingest.fetch"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            cwd=Path(__file__).resolve().parents[3],
        )
    except subprocess.TimeoutExpired:
        raise IngestError(f"{url} took longer than {_TIMEOUT // 3600} hours: run it again, it goes on") from None
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode and not rows:
        raise IngestError(f"{url} cannot be fetched: {done.stderr.strip()[-300:] or 'the download process failed'}")
    return rows
