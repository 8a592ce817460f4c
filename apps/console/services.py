"""Writes of what operators keep."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.console.models import SavedFilter

FILTERS_PER_PAGE = 30
_NOT_KEPT = ("p", "e", "_popup", "_to_field")


@transaction.atomic
def filter_keep(*, user: User, page: str, name: str, query: str) -> SavedFilter:
    """Keep a list's filters under a name; the same name again replaces it. Raises ValidationError."""
    params = QueryDict(query, mutable=True)
    for key in _NOT_KEPT:
        params.pop(key, None)
    if not params:
        raise ValidationError(_("Choose filters or search for something first: there is nothing to keep."))
    kept = SavedFilter.objects.filter(user=user, page=page, name=name.strip()).first()
    if kept is None and SavedFilter.objects.filter(user=user, page=page).count() >= FILTERS_PER_PAGE:
        raise ValidationError(_("%(n)d filters are kept for this page: remove one first.") % {"n": FILTERS_PER_PAGE})
    kept = kept or SavedFilter(user=user, page=page, name=name.strip())
    kept.query = params.urlencode()
    kept.full_clean()
    kept.save()
    return kept


@transaction.atomic
def filter_remove(*, user: User, filter_id: int) -> bool:
    """Remove one of this user's filters; False when they have no such one."""
    return SavedFilter.objects.filter(user=user, pk=filter_id).delete()[0] > 0
