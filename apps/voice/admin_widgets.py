"""What the admin shows of a turn: players and the latency breakdown. No inline style or script (see the CSP)."""

from __future__ import annotations

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.voice.models import Turn

STAGES = ("endpoint_ms", "queue_ms", "encode_ms", "decode_ms", "server_ms", "network_ms", "playback_ms")
BAR_WIDTH = 160


def player(turn: Turn, *, output: bool = False) -> SafeString:
    """An audio element that loads nothing until it is played; a dash where there is no recording."""
    stored = turn.output_audio if output else turn.audio
    if not stored:
        return mark_safe("&ndash;")
    url = reverse("turn-output" if output else "turn-audio", args=[turn.pk])
    return format_html('<audio controls preload="none" src="{}"></audio>', url)


def codes_link(turn: Turn) -> SafeString:
    """The .npy file to download; a dash where there is none."""
    if not turn.codes:
        return mark_safe("&ndash;")
    return format_html('<a href="{}" download="{}.npy">.npy</a>', reverse("turn-codes", args=[turn.pk]), turn.pk)


def latency_table(turn: Turn) -> SafeString:
    """A row per stage with a bar in proportion; the known stages first, in the order in which they happen."""
    latency = turn.latency or {}
    names = [*(stage for stage in STAGES if stage in latency), *sorted(set(latency) - set(STAGES))]
    if not names:
        return mark_safe("&ndash;")
    longest = max(float(latency[name]) for name in names) or 1.0
    rows = format_html_join(
        "",
        '<tr><td>{}</td><td>{} ms</td><td><svg width="{}" height="10" role="presentation">'
        '<rect width="{}" height="10" fill="#417690"></rect></svg></td></tr>',
        (
            (
                name.removesuffix("_ms"),
                f"{float(latency[name]):.1f}",
                BAR_WIDTH,
                f"{BAR_WIDTH * float(latency[name]) / longest:.1f}",
            )
            for name in names
        ),
    )
    return format_html("<table>{}</table>", rows)
