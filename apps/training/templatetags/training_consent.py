"""``{% training_consent %}``: the switch with which those who talk let their words be learned from."""

from __future__ import annotations

from typing import Any

from django import template

from apps.training.selectors import consent_given
from apps.voice.access import guest_key_of

register = template.Library()


@register.inclusion_tag("training/consent.html", takes_context=True)
def training_consent(context: dict[str, Any]) -> dict[str, Any]:
    """The switch as it stands for whoever looks at the page."""
    request = context["request"]
    user_id = request.user.pk if request.user.is_authenticated else None
    guest_key = "" if user_id is not None else guest_key_of(request.session)
    return {"given": consent_given(user_id=user_id, guest_key=guest_key), "csrf_token": context.get("csrf_token")}
