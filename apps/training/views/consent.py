"""The switch on the talk page: may my words be learned from?"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from apps.training import selectors, services
from apps.voice.access import guest_key_of
from apps.voice.errors import ServiceError


@require_POST
def consent(request: HttpRequest) -> JsonResponse:
    """``given=true`` gives it, anything else takes it back; the answer is what holds now."""
    user_id = request.user.pk if request.user.is_authenticated else None
    guest_key = "" if user_id is not None else guest_key_of(request.session)
    try:
        if request.POST.get("given") == "true":
            services.consent_give(user_id=user_id, guest_key=guest_key)
        else:
            services.consent_withdraw(user_id=user_id, guest_key=guest_key)
    except ServiceError as fault:
        return JsonResponse({"code": fault.code, "message": fault.message, "hint": fault.hint}, status=400)
    return JsonResponse({"given": selectors.consent_given(user_id=user_id, guest_key=guest_key)})
