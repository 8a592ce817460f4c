"""What the admin pages of all apps are built from."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.utils import parse_datetime_str

from apps.console import selectors

COUNT_LIMIT = 10_000
"""Rows beyond this are not counted, nor paged to: a filter finds them."""


class BoundedPaginator(Paginator):
    """Counts no further than COUNT_LIMIT: counting (and skipping) all of a big table is what makes lists slow."""

    template_name = "admin/pagination_bounded.html"

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return int(rows.order_by().values("pk")[: COUNT_LIMIT + 1].count())

    @property
    def num_pages(self) -> int:
        return max(1, -(-min(self.count, COUNT_LIMIT) // self.per_page))

    @property
    def more(self) -> bool:
        """Are there rows that were not counted?"""
        return self.count > COUNT_LIMIT


class MomentsFilter(RangeDateTimeFilter):
    """From and to, in the site's time zone. A day without a time is meant whole: unfold's own filter would pass over it
    without a word, and compare without a time zone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for end, time in (("from", "00:00:00"), ("to", "23:59:59")):
            if self._given(f"{end}_0"):
                self.used_parameters[f"{self.field_path}_{end}_1"] = self._given(f"{end}_1") or time

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, lookup in (("from", "gte"), ("to", "lte")):
            moment = parse_datetime_str(f"{self._given(f'{end}_0')} {self._given(f'{end}_1')}")
            if moment is not None:
                queryset = queryset.filter(**{f"{self.field_path}__{lookup}": timezone.make_aware(moment)})
        return queryset

    def _given(self, part: str) -> str:
        return str(self.used_parameters.get(f"{self.field_path}_{part}") or "")


class HouseAdmin(ModelAdmin):
    """Lists with saved filters and bounded counts, forms that warn before changes are lost."""

    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    list_before_template = "admin/saved_filters.html"
    paginator: Any = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per choice, each over the whole table
    warn_unsaved_form = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page = self.opts.label_lower
        context = {
            "filter_page": page,
            "saved_filters": list(selectors.saved_filters(user=request.user, page=page)),
            "filter_query": request.GET.urlencode(),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)


class ReadOnlyMixin:
    """Rows that only the system writes: to be looked at, and deleted where the permission allows it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnlyMixin, HouseAdmin):
    """A list and a page without a form."""


def pretty_json(value: Any) -> SafeString:
    """JSON with a line per member."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return format_html('<pre class="json">{}</pre>', text)
