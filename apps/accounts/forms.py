"""The form that makes a token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import ApiToken, Scope


class TokenForm(forms.Form):
    """Name, scopes and how long it lives."""

    LIVES: ClassVar = [(7, _("a week")), (30, _("a month")), (90, _("three months")), (365, _("a year"))]

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=ApiToken._meta.get_field("name").help_text, strip=True
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.READ]
    )
    days = forms.TypedChoiceField(label=_("Good for"), choices=LIVES, coerce=int, initial=90)

    def expires_at(self) -> datetime:
        """When the token that this form describes ends."""
        return timezone.now() + timedelta(days=self.cleaned_data["days"])
