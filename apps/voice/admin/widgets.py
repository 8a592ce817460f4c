"""What the admin shows of a turn: players, codes and the latency breakdown. No inline style or script (see the CSP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy

from apps.voice.models import Turn

STAGES = {
    "endpoint_ms": gettext_lazy("end of speech"),
    "queue_ms": gettext_lazy("queue"),
    "encode_ms": gettext_lazy("encode"),
    "first_token_ms": gettext_lazy("first token"),
    "decode_ms": gettext_lazy("decode"),
    "network_ms": gettext_lazy("network"),
    "playback_ms": gettext_lazy("playback"),
}
"""In the order in which they happen. What else a turn tells (server_ms is a sum of some of them) goes below the bar."""
DASH = mark_safe("&ndash;")


def player(turn: Turn, *, output: bool = False) -> SafeString:
    """A player that loads nothing until it is on screen (the waveform) or played; a dash where nothing is stored."""
    stored = turn.output_audio if output else turn.audio
    if not stored:
        return DASH
    name = "turn-output" if output else "turn-audio"
    return format_html(
        '<span class="player {}" data-ms="{}" data-peaks="{}" data-label="{}"><audio controls preload="none" src="{}">'
        "</audio></span>",
        "is-answer" if output else "is-heard",
        turn.duration_ms,
        reverse(f"{name}-peaks", args=[turn.pk]),
        gettext("Play what was sent back") if output else gettext("Play what was heard"),
        reverse(name, args=[turn.pk]),
    )


def codes_picture(turn: Turn) -> SafeString:
    """The codes as an image, a row per level, with the file to download; a dash where there are none."""
    if not turn.codes:
        return DASH
    return format_html(
        '<figure class="codes"><img src="{}" alt="{}" loading="lazy"><figcaption>{} · <a href="{}" download="{}.npy">'
        ".npy</a></figcaption></figure>",
        reverse("turn-codes-image", args=[turn.pk]),
        gettext("Codes by level (rows) and frame (columns)"),
        gettext("each row a codebook, the first on top; dark is 0, bright is 1023"),
        reverse("turn-codes", args=[turn.pk]),
        turn.pk,
    )


def latency_bar(turn: Turn) -> SafeString:
    """The stages of a turn end to end, as wide as they are long, and their sum."""
    stages = [(at, name, value) for at, (name, value) in enumerate(_stages(turn.latency)) if value > 0]
    total = sum(value for _at, _name, value in stages)
    if not total:
        return DASH
    left, parts = 0.0, []
    for at, name, value in stages:
        parts.append((f"{left:.2f}", f"{100 * value / total:.2f}", at, f"{STAGES[name]}: {value:.1f} ms"))
        left += 100 * value / total
    rects = format_html_join(
        "", '<rect x="{}" width="{}" y="0" height="8" class="stage-{}"><title>{}</title></rect>', parts
    )
    words = gettext("%(n)s ms in all") % {"n": f"{total:.0f}"}
    return format_html(
        '<span class="latency"><svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
        "<span>{} ms</span></span>",
        words,
        rects,
        f"{total:.0f}",
    )


def latency_breakdown(turn: Turn) -> SafeString:
    """The bar with a legend: every stage in ms, then whatever else was measured."""
    stages = _stages(turn.latency)
    known = [(at, str(STAGES[name]), f"{value:.1f}") for at, (name, value) in enumerate(stages) if name in turn.latency]
    others = [
        ("none", name.removesuffix("_ms").replace("_", " "), f"{float(value):.1f}")
        for name, value in sorted((turn.latency or {}).items())
        if name not in STAGES
    ]
    if not known and not others:
        return DASH
    rows = format_html_join("", '<li><i class="stage-{}"></i><span>{}</span><b>{} ms</b></li>', [*known, *others])
    return format_html('<div class="breakdown">{}<ul>{}</ul></div>', latency_bar(turn), rows)


def _stages(latency: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    return [(name, float((latency or {}).get(name) or 0.0)) for name in STAGES]
