"""The account page: a person's tokens."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import selectors, services
from apps.accounts.forms import TokenForm
from apps.accounts.models import ApiToken


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("secret")
def tokens(request: HttpRequest) -> HttpResponse:
    """The list, and the form for one more. The answer to the form is the only page that ever shows the secret."""
    user = cast("User", request.user)
    form, made, secret = TokenForm(request.POST or None), None, ""
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            made, secret = services.token_create(
                user=user, name=wish["name"], scopes=wish["scopes"], expires_at=form.expires_at()
            )
            form = TokenForm()
        except ValidationError as error:
            form.add_error(None, error.messages)
    rows = selectors.tokens_of(user=user)
    context = {"tokens": rows, "form": form, "made": made, "secret": secret, "now": timezone.now()}
    return render(request, "accounts/tokens.html", context, status=400 if form.errors else 200)


@login_required
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke one's own token."""
    services.token_revoke(token=get_object_or_404(ApiToken, pk=pk, user=cast("User", request.user)))
    return redirect("tokens")
