"""Saved filters have no pages of their own: two small addresses, used from above each list."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from apps.console import services
from apps.console.models import SavedFilter


@admin.register(SavedFilter)
class SavedFilterAdmin(ModelAdmin):
    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("keep/", view(require_POST(self.keep)), name="console_savedfilter_keep"),
            path("remove/", view(require_POST(self.remove)), name="console_savedfilter_remove"),
        ]

    def keep(self, request: HttpRequest) -> HttpResponse:
        """Form: page, name, query."""
        address = self._list_of(request)
        try:
            kept = services.filter_keep(
                user=request.user,  # type: ignore[arg-type]  # staff only
                page=request.POST["page"],
                name=request.POST.get("name", ""),
                query=request.POST.get("query", ""),
            )
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(f"{address}?{request.POST.get('query', '')}")
        self.message_user(request, _("Kept as “%(name)s”.") % {"name": kept.name}, messages.SUCCESS)
        return redirect(f"{address}?{kept.query}")

    def remove(self, request: HttpRequest) -> HttpResponse:
        """Form: page, id."""
        address = self._list_of(request)
        number = request.POST.get("id", "")
        if not number.isdigit() or not services.filter_remove(user=request.user, filter_id=int(number)):  # type: ignore[arg-type]
            raise Http404(_("There is no such filter of yours."))
        return redirect(address)

    def _list_of(self, request: HttpRequest) -> str:
        """The address of the list that the form names, for those who may see it."""
        try:
            model = apps.get_model(request.POST.get("page", ""))
        except (LookupError, ValueError):
            raise Http404(_("There is no such list.")) from None
        if model not in self.admin_site._registry:
            raise Http404(_("There is no such list."))
        if not self.admin_site._registry[model].has_view_permission(request):
            raise PermissionDenied
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
