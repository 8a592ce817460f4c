"""Child process of `ml.data.ingest.web`: downloads one address under guard.

An audit hook sees every connection that any code of this process opens, after names are resolved and redirects are
followed, and refuses addresses inside private networks. That closes what a check of the address alone leaves open:
redirects, names that resolve differently the second time, and addresses inside playlists.
"""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ml.data.ingest.guard import is_public
from ml.data.ingest.types import IngestError, IngestOptions

_BLOCK = 1 << 18
_BYTES_A_SECOND = 4 * 2**20
_LONGEST_HOURS = 6


class Refused(OSError):
    """A connection into a private network."""


def guard_connections() -> None:
    """From now on this process reaches public addresses only; it cannot be undone."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect":
            return
        connection, address = arguments
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            raise Refused("only connections by internet protocol are allowed")
        if not is_public(str(address[0])):
            raise Refused(f"{address[0]} is an address inside a private network: refused")

    sys.addaudithook(watch)


def fetch_file(url: str, folder: Path, options: IngestOptions) -> dict[str, str]:
    """One file, resumed by range where a part is there, bounded in size and speed."""
    name = Path(urlsplit(url).path).name or "download"
    target = folder / name
    if target.is_file():
        return {"name": url, "path": str(target)}
    partial = folder / f"{name}.part"
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "telugu-voice-platform ingest"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        if have and answer.status != 206:
            have = 0
        with partial.open("ab" if have else "wb") as out:
            got = 0
            while block := answer.read(_BLOCK):
                got += len(block)
                if have + got > options.max_bytes:
                    return {"name": url, "why": f"larger than {options.max_bytes / 2**20:.0f} MiB"}
                out.write(block)
                time.sleep(max(0.0, got / _BYTES_A_SECOND - (time.monotonic() - began)))  # polite to the server
    partial.replace(target)
    return {"name": url, "path": str(target)}


def fetch_media(url: str, folder: Path, options: IngestOptions) -> list[dict[str, str]]:
    """Sound of a video, or of the first `max_items` of a playlist, by yt-dlp; what is there is not fetched again."""
    try:
        import yt_dlp
    except ImportError:
        return [{"name": url, "why": "addresses of pages and videos need the package yt-dlp: pip install yt-dlp"}]
    rows: list[dict[str, str]] = []

    def too_long(info: dict[str, Any], *, incomplete: bool) -> str | None:
        if info.get("is_live"):
            return "a live stream"
        seconds = info.get("duration")
        return f"longer than {_LONGEST_HOURS} h" if seconds and seconds > _LONGEST_HOURS * 3600 else None

    settings = {
        "format": "bestaudio/best",
        "outtmpl": str(folder / "%(id).80s.%(ext)s"),
        "restrictfilenames": True,
        "playlistend": options.max_items,
        "max_filesize": options.max_bytes,
        "match_filter": too_long,
        "ignoreerrors": True,
        "continuedl": True,
        "overwrites": False,
        "retries": 3,
        "fragment_retries": 3,
        "socket_timeout": 30,
        "ratelimit": _BYTES_A_SECOND,
        "sleep_interval_requests": 1,
        "sleep_interval": 2,
        "max_sleep_interval": 5,
        "external_downloader": {},
        "hls_prefer_native": True,
        "enable_file_urls": False,
        "postprocessors": [],
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "cachedir": False,
        "logger": _Quiet(),
    }
    with yt_dlp.YoutubeDL(settings) as client:
        info = client.extract_info(url, download=True)
        found = [info] if info and "entries" not in info else list((info or {}).get("entries") or [])
        for entry in found[: options.max_items]:
            if not entry:
                continue
            path = Path(client.prepare_filename(entry))
            name = str(entry.get("webpage_url") or entry.get("id") or url)
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                rows.append({"name": name, "path": str(path), "licence": str(entry.get("license") or "")})
            else:
                rows.append({"name": name, "why": "nothing was downloaded (too long, too large, live, or removed)"})
    return rows or [{"name": url, "why": f"nothing to hear there: {_Quiet.last or 'no media found'}"}]


class _Quiet:
    """yt-dlp's words go nowhere but for the last error."""

    last = ""

    def debug(self, message: str) -> None:
        pass

    info = warning = debug

    def error(self, message: str) -> None:
        _Quiet.last = message[-300:]


def main() -> int:
    """Read the order from standard input, tell rows as JSON lines."""
    order = json.loads(sys.stdin.read())
    options = IngestOptions(**order["options"])
    if not options.allow_private:
        guard_connections()
    folder = Path(order["folder"])
    try:
        if order["what"] == "file":
            rows = [fetch_file(order["url"], folder, options)]
        else:
            rows = fetch_media(order["url"], folder, options)
    except urllib.error.HTTPError as error:
        rows = [{"name": order["url"], "why": f"the server answered {error.code} {error.reason}"}]
    except (OSError, IngestError, ValueError) as error:
        cause = getattr(error, "reason", error)
        rows = [{"name": order["url"], "why": str(cause)[:300]}]
    for row in rows:
        print(json.dumps(row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
