"""Small words and numbers of the dashboard's templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext

register = template.Library()


@register.filter
def words(text: str) -> str:
    """A stored English sentence in the page's language, where there is a translation."""
    return gettext(text) if text else ""


@register.filter
def figure(value: Any) -> str:
    """A number with four significant digits; a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


@register.filter
def size(count: Any) -> str:
    """Bytes as MB or GB."""
    number = float(count or 0)
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


@register.filter
def clock(seconds: Any) -> str:
    """Seconds as H:MM:SS or M:SS."""
    if seconds in (None, ""):
        return "–"
    whole = round(float(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@register.filter
def hours(seconds: Any) -> str:
    """Seconds as hours, or as minutes below one hour."""
    number = float(seconds or 0)
    if number >= 3600:
        return gettext("%(n).1f h") % {"n": number / 3600}
    return gettext("%(n).1f min") % {"n": number / 60}


@register.filter
def readable(name: str) -> str:
    """A metric's or setting's name without underscores."""
    return name.replace("_", " ")


@register.filter
def at(values: Any, index: int) -> Any:
    """The item of a list at a place."""
    try:
        return values[index]
    except (IndexError, KeyError, TypeError):
        return None
