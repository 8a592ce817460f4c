"""Filters of the lists of sessions and turns. None needs a count or a scan of the whole table."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from apps.voice.admin.search import users_named
from apps.voice.models import Turn, VoiceSession

BANDS: dict[str, tuple[Any, int | None, int | None]] = {
    "fast": (_("up to 300 ms"), None, 300),
    "good": (_("300 to 400 ms"), 300, 400),
    "slow": (_("400 to 800 ms"), 400, 800),
    "late": (_("above 800 ms"), 800, None),
}
"""Of the time from the end of speech to the answer's first audio: the targets are 300 ms (p50) and 400 ms (p95)."""


def band_condition(band: str) -> Q:
    """Turns whose response time lies in the band: above its lower and up to its upper bound."""
    _label, low, high = BANDS[band]
    condition = Q(response_ms__isnull=False)
    if low is not None:
        condition &= Q(response_ms__gt=low)
    if high is not None:
        condition &= Q(response_ms__lte=high)
    return condition


class _BandFilter(DropdownFilter):
    title = _("latency")
    parameter_name = "latency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(key, label) for key, (label, _low, _high) in BANDS.items()]


class TurnLatencyFilter(_BandFilter):
    """Answers by their response time."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> QuerySet[Turn]:
        band = self.value()
        return queryset.filter(band_condition(band)) if band in BANDS else queryset


class SessionLatencyFilter(_BandFilter):
    """Sessions in which at least one answer took so long."""

    title = _("latency of an answer")

    def queryset(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> QuerySet[VoiceSession]:
        band = self.value()
        if band not in BANDS:
            return queryset
        return queryset.filter(Exists(Turn.objects.filter(band_condition(band), session=OuterRef("pk"))))


class UserFilter(TextFilter):
    """Sessions of people whose name or e-mail holds what was typed."""

    title = _("user")
    parameter_name = "user"

    def queryset(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> QuerySet[VoiceSession]:
        name = (self.value() or "").replace("\x00", "").strip()
        return queryset.filter(owner__in=users_named(name)) if name else queryset


class FaultFilter(DropdownFilter):
    """Sessions whose connection was closed for a fault, by its code."""

    title = _("error")
    parameter_name = "fault"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("any", _("any error")),
            ("inference_lost", _("inference server lost")),
            ("too_slow", _("client too slow")),
            ("busy", _("no free slot")),
            ("bug", _("bug")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> QuerySet[VoiceSession]:
        code = self.value()
        if code == "any":
            return queryset.exclude(last_fault="")
        return queryset.filter(last_fault=code) if code else queryset


class InterruptedFilter(DropdownFilter):
    """Turns that the other side cut short."""

    title = _("interrupted")
    parameter_name = "interrupted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("interrupted")), ("no", _("heard to the end"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> QuerySet[Turn]:
        wish = self.value()
        return queryset.filter(interrupted_at_ms__isnull=wish == "no") if wish in {"yes", "no"} else queryset


class MarkFilter(DropdownFilter):
    """Turns by an operator's mark."""

    title = _("mark")
    parameter_name = "mark"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Turn.Mark.choices, ("none", _("not marked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> QuerySet[Turn]:
        mark = self.value()
        if not mark:
            return queryset
        # Said twice: Postgres uses the partial index only where it sees the index's own condition.
        return queryset.filter(mark="") if mark == "none" else queryset.exclude(mark="").filter(mark=mark)
