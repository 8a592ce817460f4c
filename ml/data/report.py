"""A page about a folder of clips: hours, durations, noise, speakers, what was left out. One HTML file, nothing fetched."""  # noqa: E501

from __future__ import annotations

import html
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_SHOWN = 300
"""Left-out files listed by name."""
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --quiet: #667085; --bar: #2f6f8f; --line: #d5dae3; --ground: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf1; --quiet: #9aa4b5; --bar: #6fb3d2; --line: #384254;
 --ground: #141922; } }
body { font: 16px/1.5 system-ui, "Noto Sans Telugu", sans-serif; color: var(--ink); background: var(--ground);
 max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.2rem; } .tiles { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; } .tiles b { display: block;
 font-size: 1.7rem; font-variant-numeric: tabular-nums; } .tiles span, figcaption, th { color: var(--quiet); }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; } svg text { fill: var(--quiet); font-size: 11px; }
svg rect { fill: var(--bar); } svg line { stroke: var(--line); } table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
td.n { font-variant-numeric: tabular-nums; text-align: right; } td { overflow-wrap: anywhere; }
"""


class ReportError(ValueError):
    """There is nothing to report on; the message says what to do."""


@dataclass(slots=True)
class Summary:
    """Numbers of a folder of clips."""

    name: str
    clips: int
    hours: float
    seconds: list[float]
    snr_db: list[float]
    level_db: list[float]
    dnsmos: list[float]
    speakers: dict[str, float]
    """Speaker -> hours."""
    splits: dict[str, float]
    """Split -> hours."""
    emotions: dict[str, float]
    licences: dict[str, float]
    consents: dict[str, float]
    augmented: int
    left_out: list[dict[str, Any]] = field(default_factory=list)


def summarise(folder: Path) -> Summary:
    """Read the manifest of an ingest or of pairs. Raises ReportError."""
    path = folder / "manifest.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        clips = [row for row in rows if row.get("type", "clip") == "clip" and not row.get("augmented_from")]
        for row in clips:
            row.setdefault("seconds", row.get("samples", 0) / 16_000)
    except FileNotFoundError:
        raise ReportError(f"{path} is missing: give the folder of an ingest or of pairs") from None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ReportError(f"{path} is no manifest ({error}): run the ingest again") from None
    if not clips:
        raise ReportError(f"{path} has no clips: nothing was kept, report.json in the same folder says why")
    try:
        left_out = json.loads((folder / "report.json").read_text(encoding="utf-8")).get("left_out", [])
    except (OSError, ValueError, AttributeError):
        left_out = []
    return Summary(
        name=folder.name,
        clips=len(clips),
        hours=sum(row["seconds"] for row in clips) / 3600,
        seconds=[row["seconds"] for row in clips],
        snr_db=[row["snr_db"] for row in clips if row.get("snr_db") is not None],
        level_db=[row["level_db"] for row in clips if row.get("level_db") is not None],
        dnsmos=[row["dnsmos"] for row in clips if row.get("dnsmos") is not None],
        speakers=_hours(clips, "speaker"),
        splits=_hours(clips, "split"),
        emotions=_hours(clips, "emotion"),
        licences=_hours(clips, "licence"),
        consents=_hours(clips, "consent"),
        augmented=sum(bool(row.get("augmented_from")) for row in rows),
        left_out=left_out,
    )


def _hours(clips: list[dict[str, Any]], key: str) -> dict[str, float]:
    held: dict[str, float] = defaultdict(float)
    for row in clips:
        if row.get(key):
            held[str(row[key])] += row["seconds"] / 3600
    return dict(sorted(held.items(), key=lambda pair: -pair[1]))


def render_report(summary: Summary) -> str:
    """The page."""
    tiles = [
        (f"{summary.hours:.2f} h" if summary.hours >= 0.1 else f"{60 * summary.hours:.1f} min", "of speech"),
        (f"{summary.clips:,}", "clips"),
        (f"{len(summary.speakers):,}", "speakers"),
        (f"{np.median(summary.seconds):.1f} s", "median clip"),
    ]
    if summary.snr_db:
        tiles.append((f"{np.median(summary.snr_db):.0f} dB", "median SNR (estimate)"))
    if summary.dnsmos:
        tiles.append((f"{np.median(summary.dnsmos):.2f}", "median DNSMOS"))
    if summary.augmented:
        tiles.append((f"{summary.augmented:,}", "augmented copies"))
    parts = [
        f"<h1>Speech in {html.escape(summary.name)}</h1>",
        '<div class="tiles">' + "".join(f"<div><b>{n}</b><span>{w}</span></div>" for n, w in tiles) + "</div>",
        "<h2>Durations</h2>" + histogram(summary.seconds, "seconds", "clips by length"),
    ]
    if summary.snr_db:
        parts.append("<h2>Noise</h2>" + histogram(summary.snr_db, "dB", "clips by estimated signal-to-noise ratio"))
    if summary.level_db:
        parts.append("<h2>Level</h2>" + histogram(summary.level_db, "dBFS", "clips by level before it was changed"))
    if summary.dnsmos:
        parts.append("<h2>DNSMOS</h2>" + histogram(summary.dnsmos, "", "clips by overall score"))
    parts.append("<h2>Speakers</h2>" + bars(summary.speakers, "hours by speaker"))
    for title, held in (
        *(("Splits", summary.splits), ("Emotions", summary.emotions)),
        *(("Licences", summary.licences), ("Consent", summary.consents)),
    ):
        if held:
            parts.append(f"<h2>{title}</h2>" + bars(held, f"hours by {title.lower()}"))
    if summary.left_out:
        parts.append(_left_out(summary.left_out))
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Speech in {html.escape(summary.name)}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def histogram(values: Sequence[float], unit: str, caption: str, bins: int = 30) -> str:
    """Counts of values as an SVG figure."""
    counts, edges = np.histogram(values, bins=bins)
    width, height, base = 640, 180, 160
    step = width / bins
    top = max(1, int(counts.max()))
    drawn = "".join(
        f'<rect x="{n * step + 1:.1f}" y="{base - 140 * count / top:.1f}" width="{step - 2:.1f}" '
        f'height="{140 * count / top:.1f}"><title>{edges[n]:.1f} to {edges[n + 1]:.1f} {unit}: {count}</title></rect>'
        for n, count in enumerate(counts)
    )
    ticks = "".join(
        f'<text x="{n * step:.1f}" y="{height - 4}" text-anchor="{"middle" if n else "start"}">{edges[n]:.1f}</text>'
        for n in range(0, bins, 5)
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{caption}">{drawn}'
        f'<line x1="0" y1="{base}" x2="{width}" y2="{base}"/>{ticks}<text x="{width}" y="12" text-anchor="end">'
        f"most in one bar: {top}</text></svg><figcaption>{caption}{f' ({unit})' if unit else ''}</figcaption></figure>"
    )


def bars(held: Mapping[str, float], caption: str, shown: int = 40) -> str:
    """Named amounts as an SVG figure; the rest beyond `shown` in one line."""
    rows = list(held.items())[:shown]
    rest = len(held) - len(rows)
    top = max((amount for _, amount in rows), default=0.0) or 1.0
    height = 20 * len(rows) + 4
    drawn = "".join(
        f'<text x="0" y="{20 * n + 14}">{html.escape(name[:34])}</text>'
        f'<rect x="230" y="{20 * n + 3}" width="{max(1.0, 320 * amount / top):.1f}" height="14"/>'
        f'<text x="{236 + 320 * amount / top:.1f}" y="{20 * n + 14}">{_amount(amount)}</text>'
        for n, (name, amount) in enumerate(rows)
    )
    more = f" and {rest} more" if rest else ""
    return (
        f'<figure><svg viewBox="0 0 640 {height}" role="img" aria-label="{caption}">{drawn}</svg>'
        f"<figcaption>{caption}{more}</figcaption></figure>"
    )


def _amount(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 0.1 else f"{60 * hours:.1f} min"


def _left_out(left_out: list[dict[str, Any]]) -> str:
    reasons = Counter(str(one.get("why", "")).split(":")[0].split("(")[0].strip()[:60] for one in left_out)
    counted = "".join(
        f'<tr><td>{html.escape(why)}</td><td class="n">{n}</td></tr>' for why, n in reasons.most_common(20)
    )
    listed = "".join(
        f"<tr><td>{html.escape(str(one.get('file', '')))}</td><td>{_span(one)}</td>"
        f"<td>{html.escape(str(one.get('why', '')))}</td></tr>"
        for one in left_out[:_SHOWN]
    )
    more = f"<p>… and {len(left_out) - _SHOWN} more in report.json</p>" if len(left_out) > _SHOWN else ""
    return (
        f"<h2>Left out</h2><table><tr><th>why</th><th>how often</th></tr>{counted}</table>"
        f"<h3>Each of them</h3><table><tr><th>file</th><th>at</th><th>why</th></tr>{listed}</table>{more}"
    )


def _span(one: dict[str, Any]) -> str:
    span = one.get("seconds")
    return f"{span[0]:.1f}–{span[1]:.1f} s" if span else ""
