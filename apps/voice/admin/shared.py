"""What the pages of sessions and turns share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from apps.voice.models import Turn, VoiceSession

SHOWN_MAX = 10


def voice_of(row: VoiceSession | Turn) -> SafeString:
    """Speaker and emotion in the page's language."""
    telugu = get_language() == "te"

    def name(choice: Any) -> str:
        return str(choice.name_te if telugu else choice.name_en) if choice else "–"

    sign = row.emotion.emoji if row.emotion else ""
    return format_html(
        '<span class="voice"><b>{}</b> <span class="emoji" title="{}">{}</span></span>',
        name(row.speaker),
        name(row.emotion),
        sign or name(row.emotion),
    )


def moment(at: datetime) -> str:
    """Day, and time to the second."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'j M')} {local:%H:%M:%S}"


def few(
    model_admin: admin.ModelAdmin, objs: Any, request: HttpRequest
) -> tuple[list[str], dict[str, int], set[str], list]:
    """For the page that asks whether to delete: the first few, how many, and whether one may.

    Django's own answer walks through every row and everything that refers to it.
    """
    count = objs.count() if isinstance(objs, QuerySet) else len(objs)
    shown: Sequence[Any] = objs[:SHOWN_MAX]
    words = [f"{row} · {row.pk}" for row in shown]
    if count > SHOWN_MAX:
        words.append(gettext("… and %(n)d more") % {"n": count - SHOWN_MAX})
    forbidden = set() if model_admin.has_delete_permission(request) else {str(model_admin.opts.verbose_name)}
    return words, {str(model_admin.opts.verbose_name_plural): count}, forbidden, []
