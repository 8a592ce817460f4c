"""A small line chart as SVG, drawn here so that the page needs no script and no inline style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 24


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: ``path`` as SVG data, ``dots`` where a point has no neighbour to be joined with."""

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Ready for the template: curves, horizontal rules ``(y, label)``, labels below ``(x, label)``."""

    lines: tuple[Line, ...]
    rules: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str], ...]
    target_y: float | None
    width: int = WIDTH
    height: int = HEIGHT


def chart(
    curves: dict[str, Sequence[float | None]], labels: Sequence[str], *, target: float | None = None, every: int = 8
) -> Chart:
    """Curves of equal length over labelled points; None is a gap. The scale begins at 0 and ends at a round number."""
    values = [value for curve in curves.values() for value in curve if value is not None]
    top = _round_up(max([*values, target or 0.0, 1.0]))
    count = max(len(labels), 2)

    def x(at: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * at / (count - 1), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)

    return Chart(
        lines=tuple(
            _line(name, [(x(at), y(v)) if v is not None else None for at, v in enumerate(curve)])
            for name, curve in curves.items()
        ),
        rules=tuple((y(top * part / 4), f"{top * part / 4:g}") for part in range(5)),
        labels=tuple((x(at), label) for at, label in enumerate(labels) if at % every == 0),
        target_y=y(target) if target is not None else None,
    )


def _line(name: str, points: Sequence[tuple[float, float] | None]) -> Line:
    path, dots = [], []
    for at, point in enumerate(points):
        if point is None:
            continue
        before = points[at - 1] if at else None
        after = points[at + 1] if at + 1 < len(points) else None
        path.append(f"{'L' if before else 'M'}{point[0]} {point[1]}")
        if before is None and after is None:
            dots.append(point)
    return Line(name, "".join(path), tuple(dots))


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8, 10 times a power of ten."""
    scale = 1.0
    while scale * 10 <= value:
        scale *= 10
    return next(scale * step for step in (1, 2, 4, 8, 10) if scale * step >= value)
