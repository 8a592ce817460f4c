"""Users, roles and API tokens. Only a superuser makes superusers or touches one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from apps.accounts import services
from apps.accounts.models import ApiToken, Scope
from apps.accounts.roles import ADMINISTERED
from voiceplatform.admin_tools import HouseAdmin

admin.site.unregister(User)
admin.site.unregister(Group)

DAYS = (7, 30, 90, 365)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, HouseAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "roles", "active", "last_login"]
    list_filter = ["is_active", "is_superuser", "groups"]
    filter_horizontal = ()
    search_fields = ["username", "email", "first_name", "last_name"]
    fieldsets = (
        (None, {"fields": (("username", "email"), ("first_name", "last_name"), "password")}),
        (
            _("Roles"),
            {"fields": ("groups", "is_active", "is_superuser"), "description": _("A role lets someone in here.")},
        ),
        (_("Times"), {"fields": (("last_login", "date_joined"),)}),
    )
    readonly_fields = ["last_login", "date_joined"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @admin.display(description=_("roles"))
    def roles(self, obj: User) -> str:
        names = [group.name for group in obj.groups.all()]
        return ", ".join([gettext("superuser"), *names] if obj.is_superuser else names) or "–"

    @display(description=_("active"), boolean=True, ordering="is_active")
    def active(self, obj: User) -> bool:
        return obj.is_active

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, *([] if _superuser(request) else ["is_superuser"])]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        if any(not _may_touch(request, user) for user in objs):
            return [], {}, {str(_("superuser"))}, []
        return super().get_deleted_objects(objs, request)


@admin.register(Group)
class RoleAdmin(DjangoGroupAdmin, HouseAdmin):
    list_display = ["name", "members", "granted"]
    filter_horizontal = ()
    autocomplete_fields: ClassVar[list[str]] = []
    fields = ["name", "permissions"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups = super().get_queryset(request)
        return groups.annotate(people=Count("user", distinct=True), rights=Count("permissions", distinct=True))

    @admin.display(description=_("people"))
    def members(self, obj: Any) -> int:
        return int(obj.people)

    @admin.display(description=_("permissions"))
    def granted(self, obj: Any) -> int:
        return int(obj.rights)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            kwargs["queryset"] = (
                Permission.objects.filter(content_type__app_label__in=ADMINISTERED)
                .exclude(content_type__model__startswith="historical")
                .select_related("content_type")
            )
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class TokenForm(forms.ModelForm):
    """A new token: whose, for what, how long."""

    scopes = forms.MultipleChoiceField(
        label=_("scopes"), choices=Scope.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget, initial=[Scope.READ]
    )
    days = forms.TypedChoiceField(
        label=_("valid for"),
        coerce=int,
        initial=90,
        choices=[(n, format_lazy("{} {}", n, _("days"))) for n in DAYS],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = ApiToken
        fields: ClassVar[list[str]] = ["user", "name"]


@admin.register(ApiToken)
class ApiTokenAdmin(HouseAdmin):
    list_display = ["name", "user", "hint", "scope_list", "state", "last_used_at", "expires_at"]
    list_filter = ["user"]
    search_fields = ["name", "hint", "user__username"]
    list_select_related = ["user"]
    actions = ["revoke"]
    autocomplete_fields = ["user"]
    readonly_fields = ["hint", "scope_list", "state", "created_at", "expires_at", "last_used_at", "revoked_at"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = TokenForm
        return super().get_form(request, obj, change=change, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # A token acts for its owner: who is no superuser may not make one that is.
        if db_field.name == "user" and not _superuser(request):
            kwargs["queryset"] = User.objects.filter(is_superuser=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["user", "name", "scopes", "days"]
        return ["name", "user", *self.readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else list(self.readonly_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked ones stay: who had access, and until when

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apitoken")

    @admin.display(description=_("scopes"))
    def scope_list(self, obj: ApiToken) -> SafeString:
        return format_html_join(" ", "<code>{}</code>", ((scope,) for scope in obj.scopes))

    @display(description=_("state"), label={"usable": "success", "revoked": "danger", "expired": "warning"})
    def state(self, obj: ApiToken) -> tuple[str, Any]:
        if obj.revoked_at:
            return "revoked", _("revoked")
        return ("usable", _("usable")) if obj.usable(timezone.now()) else ("expired", _("expired"))

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.ModelForm, change: bool) -> None:
        token, secret = services.token_create(
            user=obj.user,
            name=obj.name,
            scopes=form.cleaned_data["scopes"],
            expires_at=timezone.now() + timedelta(days=form.cleaned_data["days"]),
        )
        obj.__dict__.update(token.__dict__)  # the admin goes on with the row that the service stored
        words = gettext("Copy the token now, it is shown this once: %(secret)s")
        self.message_user(request, words % {"secret": secret}, messages.WARNING)

    @admin.action(description=_("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        tokens = list(queryset.filter(revoked_at=None))
        for token in tokens:
            services.token_revoke(token=token)
        words = ngettext("%(n)d token revoked.", "%(n)d tokens revoked.", len(tokens)) % {"n": len(tokens)}
        self.message_user(request, words, messages.SUCCESS)


def _superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _may_touch(request: HttpRequest, user: Any) -> bool:
    return user is None or not user.is_superuser or _superuser(request)
