"""Lists in pages that stay right while rows come and go: a cursor, not a page number."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination


class Pages(CursorPagination):
    """50 rows a page unless ``page_size`` (up to 200) says otherwise; the row's id breaks ties of any order."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    invalid_cursor_message = "This cursor is none of ours: begin again without one."

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> Any:
        self.ordering = getattr(view, "ordering", ["pk"])
        chosen: Any = super().get_ordering(request, queryset, view)
        fields = [chosen] if isinstance(chosen, str) else list(chosen)
        return fields if fields[-1].lstrip("-") in ("pk", "id") else [*fields, "pk"]

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, TypeError, OverflowError, ValidationError, DataError):
            raise NotFound(self.invalid_cursor_message) from None
