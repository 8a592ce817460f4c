"""Small bar charts, drawn by the server as SVG: places and sizes for the templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, GAP = 320.0, 96.0, 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar in a chart of WIDTH x HEIGHT; `x` and `y` are its upper left corner. ``label`` stands below it."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    title: str


def bars(histogram: Any, *, unit: str) -> list[Bar]:
    """A histogram ``{"edges": [...], "counts": [...]}`` as bars; empty without one."""
    if not isinstance(histogram, dict) or not any(histogram.get("counts", ())):
        return []
    edges, counts = histogram["edges"], histogram["counts"]
    most = max(counts)
    step = WIDTH / len(counts)
    found = []
    for number, count in enumerate(counts):
        height = HEIGHT * count / most
        if count:
            height = max(height, 1.5)
        x, width = number * step + GAP / 2, step - GAP
        label = f"{edges[number]:g}"
        title = f"{edges[number]:g}–{edges[number + 1]:g} {unit}: {count:.0f}"
        found.append(Bar(round(x, 1), round(HEIGHT - height, 1), round(width, 1), round(height, 1), x, label, title))
    return found


def shares(counts: Any) -> list[tuple[str, int, int]]:
    """Name, count and percent of the largest, for bars that lie."""
    if not isinstance(counts, dict) or not counts:
        return []
    most = max(counts.values())
    return [(name, int(count), round(100 * count / most)) for name, count in counts.items()]
